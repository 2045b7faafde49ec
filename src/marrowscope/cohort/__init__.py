"""Many studies at once."""
