"""Whether an upload's file is good, and what is to be put for it."""

from dataclasses import replace
from pathlib import Path

from shared.internal_api import WorkOrder
from shared.status import Stage
from worker.errors import FileRejected
from worker.flagging import Checked, flagged, keeps
from worker.object_store import ObjectStore
from worker.processing import Processing
from worker.received_file import received_file
from worker.sandbox import Output, Processed
from worker.scanner import Scanner
from worker.scanning import look_into, notices_of, refuse_infected
from worker.stages import Stages


class Checking:
    """Scans, decodes and converts what an order names."""

    def __init__(
        self,
        staging: Path,
        store: ObjectStore,
        processing: Processing,
        scanner: Scanner | None,
    ) -> None:
        self._staging = staging
        self._store = store
        self._processing = processing
        self._scanner = scanner

    async def check(self, order: WorkOrder, stages: Stages, scratch: Path) -> Checked:
        """What is to be put for the order's file; what is made of it lies in `scratch`.

        Raises `FileRejected`, unless its field keeps such files, `BytesGone` or `TransientError`.
        """
        stages.show(Stage.SCANNING if self._scanner else Stage.VALIDATING)
        staged = await received_file(self._staging, self._store, order, scratch)
        try:
            return Checked(await self._processed(order, stages, staged, scratch), order.key_prefix)
        except FileRejected as bad:
            if not keeps(order, bad):
                raise
            return flagged(order, staged, bad)

    async def _processed(
        self, order: WorkOrder, stages: Stages, staged: Path, scratch: Path
    ) -> Processed:
        stages.scan = await look_into(self._scanner, staged, order)
        refuse_infected(stages.scan)
        _check_size(order)  # a field may keep what is too small, and then it was scanned
        stages.show(Stage.VALIDATING)
        processed = await self._processing.process(
            staged, scratch, policy=order.policy, field=order.field, on_stage=stages.show
        )
        noticed = replace(processed, notices=[*processed.notices, *notices_of(stages.scan, order)])
        return _as_acknowledged(order, noticed, staged)


def _check_size(order: WorkOrder) -> None:
    """The bounds of the field; the upper one was kept while receiving too."""
    if order.size < order.policy.min_bytes:
        raise FileRejected("file-too-small", {"min_bytes": order.policy.min_bytes})
    if order.size > order.policy.max_bytes:
        raise FileRejected("file-too-large", {"max_bytes": order.policy.max_bytes})


def _as_acknowledged(order: WorkOrder, processed: Processed, staged: Path) -> Processed:
    """What goes to the bucket as it came is held to the size and hash of the acknowledgement, not
    to what the decoding child says of it."""

    def as_received(output: Output) -> Output:
        return replace(output, size=order.size, sha256=order.sha256)

    original = processed.original
    return replace(
        processed,
        object=as_received(processed.object)
        if processed.object.path == staged
        else processed.object,
        original=as_received(original) if original else None,
    )
