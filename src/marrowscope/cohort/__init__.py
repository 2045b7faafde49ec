"""Many studies at once: a manifest in, tables, change, a gallery and a methods paragraph out."""
