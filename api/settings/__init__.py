"""What can be set, and what may stand in it."""
