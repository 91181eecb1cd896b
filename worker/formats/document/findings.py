"""What was found in a document. What becomes of it, its field's policy says."""

from dataclasses import dataclass


class BrokenDocumentError(Exception):
    """The document isn't whole."""


@dataclass(frozen=True, slots=True)
class Findings:
    encrypted: bool = False
    """It needs a password to open; what else there is in it can't be seen then."""
    macros: bool = False
    """It runs something, or fetches something that runs, as it opens."""
    paragraphs: int = 0
    cells: int = 0
    """Of tables."""
    table_depth: int = 0
    """Of tables in tables."""
