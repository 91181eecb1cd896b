"""PDF: opened, counted, and stored as it came."""
