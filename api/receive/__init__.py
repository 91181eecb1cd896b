"""Bytes in: the body of a request, bounded and parsed as it arrives. No database, no routes."""
