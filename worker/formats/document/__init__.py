"""Office documents: looked into, and stored as they came."""
