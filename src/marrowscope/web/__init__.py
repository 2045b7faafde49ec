"""The reading room: a local web app. Pages are rendered here; work runs in child processes of ``jobs``."""
