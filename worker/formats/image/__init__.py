"""Images: read whole or not at all, and written upright, in sRGB, without what cameras add."""
