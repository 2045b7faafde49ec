"""Reference marrow, detection, objects and their measurements."""
