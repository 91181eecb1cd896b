"""Rows and definitions as clients see them."""
