"""Office documents: looked into, and stored as they came or given to LibreOffice."""
