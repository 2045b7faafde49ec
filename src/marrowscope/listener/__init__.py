"""Receive studies, assess each a quiet time after its last image, send draft measurements back."""
