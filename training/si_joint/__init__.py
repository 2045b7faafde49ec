"""Scripts that train the sacroiliac models; run them as modules from the root of the checkout."""
