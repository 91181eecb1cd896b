"""Forms: begun, filled in section by section, judged, sent, erased."""
