"""Whether an upload's file is good, and what is to be put for it."""

from dataclasses import replace
from pathlib import Path

from shared.internal_api import Scan, WorkOrder
from shared.status import Stage
from worker.errors import FileRejected
from worker.flagging import Checked, flagged, keeps
from worker.formats.refusals import Refusals
from worker.object_store import ObjectStore
from worker.processing import Processing
from worker.received_file import Received, received_file
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
        received = await received_file(self._staging, self._store, order, scratch)
        try:
            processed = await self._processed(order, stages, received, scratch)
            return Checked(processed, order.key_prefix)
        except FileRejected as bad:
            if not keeps(order, bad):
                raise
            refuse_unscanned(stages.scan, order, bad)
            return flagged(order, received, bad)

    async def _processed(
        self, order: WorkOrder, stages: Stages, received: Received, scratch: Path
    ) -> Processed:
        staged = received.path
        stages.scan = await look_into(self._scanner, staged, order)
        try:
            refuse_infected(stages.scan)
        except FileRejected as infected:
            if keeps(order, infected):  # then it has to be of a type that the field accepts
                await self._processing.of_accepted_type(
                    staged, scratch, infected, policy=order.policy, field=order.field
                )
            raise
        refusals = Refusals(order.policy.flag)
        with refusals.held():  # what is too small and kept may be of a type that isn't
            _check_size(order)
        stages.show(Stage.VALIDATING)
        processed = await self._processing.process(
            staged,
            scratch,
            policy=order.policy,
            field=order.field,
            on_stage=stages.show,
            sha256=order.sha256,
        )
        refusals.settle(processed.detected_type)
        noticed = replace(processed, notices=[*processed.notices, *notices_of(stages.scan, order)])
        return _as_acknowledged(order, noticed, received)


def refuse_unscanned(scan: Scan | None, order: WorkOrder, kept: FileRejected) -> None:
    """Raise `FileRejected` where a file, kept for what a decoder found, is refused for not having
    been scanned."""
    try:
        notices_of(scan, order)
    except FileRejected as bad:
        if not keeps(order, bad):
            raise FileRejected(bad.code, bad.params, detected_type=kept.detected_type) from None


def _check_size(order: WorkOrder) -> None:
    """The bounds of the field; the upper one was kept while receiving too."""
    if order.size < order.policy.min_bytes:
        raise FileRejected("file-too-small", {"min_bytes": order.policy.min_bytes})
    if order.size > order.policy.max_bytes:
        raise FileRejected("file-too-large", {"max_bytes": order.policy.max_bytes})


def _as_acknowledged(order: WorkOrder, processed: Processed, received: Received) -> Processed:
    """What goes to the bucket as it came is held to the size and hash of the acknowledgement, not
    to what the decoding child says of it."""

    def as_received(output: Output) -> Output:
        return replace(output, size=order.size, sha256=order.sha256, hashed=received.hashed)

    original = processed.original
    return replace(
        processed,
        object=as_received(processed.object)
        if processed.object.path == received.path
        else processed.object,
        original=as_received(original) if original else None,
    )
