"""How long, how much, and with how much trouble."""

from dataclasses import dataclass
from pathlib import Path

UPLOADS_A_MINUTE = 250
KILLS_A_MINUTE = 5
OVERTIME = 1.5
"""When fewer uploads than planned are acknowledged in time, the soak goes on up to this factor."""


@dataclass(frozen=True)
class Plan:
    minutes: float
    uploads: int
    kills: int
    seed: int
    database_url: str | None
    report: Path | None

    @property
    def seconds(self) -> float:
        return self.minutes * 60

    @property
    def longest(self) -> float:
        """Seconds after which it ends, whatever was reached."""
        return self.seconds * OVERTIME + 60

    @property
    def freezes(self) -> int:
        return max(1, self.kills // 3)


RECEIVING_KEPT = 150
"""Longer than a person whose api is away goes on trying."""
REJECTED_KEPT = 20
FAILED_KEPT = 1200
"""Long enough for the operator who tries it again in the end."""
DRAFT_KEPT = 240
"""Longer than a person whose api is away goes on trying, so that none loses the form to its age."""

SETTINGS = {
    # So that what is kept for hours, for people to look at, is gone while the soak can see it.
    "WORK_SECONDS": "45",
    "ORPHAN_SECONDS": "30",
    "QUARANTINE_SECONDS": "30",
    "RECEIVING_KEEP_SECONDS": str(RECEIVING_KEPT),
    "REJECTED_KEEP_SECONDS": str(REJECTED_KEPT),
    "FAILED_KEEP_SECONDS": str(FAILED_KEPT),
    "DRAFT_KEEP_SECONDS": str(DRAFT_KEPT),
    "LOG_LEVEL": "warning",
}
SETTLED_WITHIN = 900.0
"""Seconds after the last fault: the longest pause between two wake-ups is 600."""
LEFT_OVER_FOR = 300.0
"""Seconds after everything is final in which what is left over may be cleaned: the work time of
the last claim, a minute's margin, a minute between two orders, and the orphans' age twice."""
