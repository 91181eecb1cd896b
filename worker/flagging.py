"""A file that its field keeps in spite of a finding: as it came, under a prefix of its own."""

from dataclasses import dataclass, field

import structlog

from shared.formats import FORMATS, original_name
from shared.internal_api import Flag, WorkOrder
from worker.errors import FileRejected
from worker.received_file import Received
from worker.sandbox import Output, Processed

log = structlog.get_logger()


@dataclass(frozen=True)
class Checked:
    """What is to be put for an upload, and under which of its order's prefixes."""

    processed: Processed
    prefix: str
    flags: list[Flag] = field(default_factory=list)


def keeps(order: WorkOrder, bad: FileRejected) -> bool:
    """Whether the order's field keeps a file that would be rejected for this."""
    return order.flagged_prefix is not None and bad.code in order.policy.flag


def flagged(order: WorkOrder, received: Received, bad: FileRejected) -> Checked:
    """The received bytes, flagged. Nothing is made of them: whatever looked into the file has
    given up on it."""
    log.warning("upload_flagged", code=bad.code)
    known = FORMATS.get(bad.detected_type or "")
    object_ = Output(
        name=original_name(known) if known else "original.bin",
        path=received.path,
        content_type=known.media_type if known else "application/octet-stream",
        size=order.size,
        sha256=order.sha256,
        hashed=received.hashed,
    )
    processed = Processed(
        detected_type=bad.detected_type,
        object=object_,
        derivatives={},
        original=None,
        notices=[],
        confinement=frozenset(),
    )
    return Checked(processed, order.flagged_prefix or "", [Flag(code=bad.code, params=bad.params)])
