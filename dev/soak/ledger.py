"""What was acknowledged, kept outside the services."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Entry:
    """One acknowledged upload."""

    upload_id: str
    form_id: str
    field: str
    sha256: str
    unchanged: bool
    """Its object has to be the very bytes that were sent, as a PDF's is."""
    hostile: bool
    """It has to be rejected."""
    seconds: float
    """From the first byte sent to the acknowledgement."""
    removed: bool = False
    """Its removal was asked for, whether or not an answer came."""


@dataclass
class Ledger:
    entries: dict[str, Entry] = field(default_factory=dict)
    clients: Counter[str] = field(default_factory=Counter)
    """What the clients did and met, by name."""
    submitted: set[str] = field(default_factory=set)
    """Forms whose submit was answered with 200: none of them ages."""
    broken: list[str] = field(default_factory=list)
    """Promises that were seen broken while it ran."""

    def acknowledge(self, entry: Entry) -> Entry:
        """Enter it; the same id again, as for a repeated key, has to be the same upload."""
        known = self.entries.setdefault(entry.upload_id, entry)
        if (known.form_id, known.field, known.sha256) != (
            entry.form_id,
            entry.field,
            entry.sha256,
        ):
            self.broken.append(f"{entry.upload_id} was given for two different files")
        return known
