"""The reading room: a local web app."""
