"""A whole limb grown by rule around a real knee's bones: bones from a label map, everything else by chance."""
