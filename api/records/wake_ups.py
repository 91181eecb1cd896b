"""When a worker may have a staged upload, and when it is told of it again: columns that are only
ever set together, for one that is forgotten is a stuck upload (protocol P4).
"""

from typing import Any

from api.records.database import NOW, Moment

FIRST_MS = 10_000
LAST_MS = 600_000


def pause_ms(unanswered: int) -> int:
    """How long the next wake-up waits after `unanswered` ones: 10 s doubling to 10 min. It is no
    backoff (`api/uploads/attempts.py`): a worker may have the upload all the time."""
    return int(min(FIRST_MS * 2 ** min(unanswered, 10), LAST_MS))


def at_once(number: int) -> dict[str, Any]:
    """A worker may have it now, and whoever commits this sends the wake-up of this number."""
    return {"wake": number, "next_attempt_at": NOW, **_none_unanswered(Moment(FIRST_MS))}


def after(milliseconds: int) -> dict[str, Any]:
    """A worker may have it after a pause, when the sweep wakes it."""
    due = Moment(milliseconds)
    return {"next_attempt_at": due, **_none_unanswered(due)}


def never() -> dict[str, Any]:
    """No worker is to have it."""
    return {"wake": 0, "next_attempt_at": NOW, **_none_unanswered(NOW)}


def _none_unanswered(next_one: Moment) -> dict[str, Any]:
    return {"wakes_unanswered": 0, "wake_at": next_one}
