"""Forms: begun, filled in section by section, judged, submitted, purged."""
