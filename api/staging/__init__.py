"""The staging volume: the only room that touches files, and what it must know of them."""
