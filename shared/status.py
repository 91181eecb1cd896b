"""The states of an upload and the only transitions between them.

`docs/state-machine.md` draws this map; a test holds the two together.
"""

from enum import StrEnum


class UploadStatus(StrEnum):
    """Where an upload stands. Clients see these words unchanged."""

    RECEIVING = "receiving"  # a resumable upload whose bytes are not all here yet
    STAGED = "staged"  # durable on the volume, waiting for a worker
    PROCESSING = "processing"  # claimed by a worker, for the length of a lease
    STORED = "stored"  # verified in the bucket and in the form's record
    REJECTED = "rejected"  # the file is bad: the person must act
    FAILED = "failed"  # our fault: bytes kept, retryable
    REPLACED = "replaced"  # a newer upload of the same slot was stored
    REMOVED = "removed"  # taken away on request
    EXPIRED = "expired"  # a resumable upload that was never finished


class Stage(StrEnum):
    """What the worker is doing with a `processing` upload."""

    SCANNING = "scanning"
    VALIDATING = "validating"
    CONVERTING = "converting"
    STORING = "storing"
    ATTACHING = "attaching"


class StoreState(StrEnum):
    """What a worker knows of the object store; of the scanner too."""

    OK = "ok"  # it takes what is put
    AWAY = "away"  # it can't be reached, doesn't answer, or fails
    REFUSED = "refused"  # it answers, but not to us: an operator must look


class Verdict(StrEnum):
    """What the scanner says of a file."""

    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNABLE = "unscannable"  # behind a password, or beyond the scanner's limits
    SKIPPED = "skipped"  # its field is not scanned


_S = UploadStatus

PENDING = frozenset({_S.RECEIVING, _S.STAGED, _S.PROCESSING})
"""Something will still happen without the person: clients keep polling."""

SETTLED = frozenset({_S.STORED, _S.REJECTED, _S.FAILED})
"""The worker has spoken; only a person, an operator or a newer upload changes it."""

TERMINAL = frozenset({_S.REPLACED, _S.REMOVED, _S.EXPIRED})
"""Nothing leaves these."""

TRANSITIONS: dict[UploadStatus, frozenset[UploadStatus]] = {
    _S.RECEIVING: frozenset({_S.STAGED, _S.FAILED, _S.EXPIRED, _S.REPLACED, _S.REMOVED}),
    _S.STAGED: frozenset({_S.PROCESSING, _S.FAILED, _S.REPLACED, _S.REMOVED}),
    _S.PROCESSING: frozenset(
        {_S.STAGED, _S.STORED, _S.REJECTED, _S.FAILED, _S.REPLACED, _S.REMOVED}
    ),
    _S.STORED: frozenset({_S.REPLACED, _S.REMOVED}),
    _S.REJECTED: frozenset({_S.REPLACED, _S.REMOVED}),
    _S.FAILED: frozenset({_S.STAGED, _S.REPLACED, _S.REMOVED}),
    _S.REPLACED: frozenset(),
    _S.REMOVED: frozenset(),
    _S.EXPIRED: frozenset(),
}
