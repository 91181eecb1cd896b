"""Folders of the volume that only the api knows; `shared/volume.py` has what the worker reads."""

INCOMING = "incoming"
"""Files that are being received."""
QUARANTINE = "quarantine"
"""Files without a record, kept for a while before they are deleted."""
SEGMENTS = "segments"
"""What is here of resumable uploads, in the order in which processes received it."""
