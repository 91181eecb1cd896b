"""The staging volume's layout, as far as both services know it."""

MARKER = ".longshore-volume"
"""A file that says which volume this is (protocol P5)."""
STAGED = "staged"
"""The folder of durable files, named by their uploads."""
