"""One request's bytes on their way into a segment, acknowledged as they become durable."""

import asyncio
import hashlib
import time
from contextlib import suppress

from api.receive.body import Body
from api.receive.turns import Turn, locked
from api.receive.tus import Checksum
from api.records import segments, uploads
from api.records.database import CommitUnknown
from api.records.rows import UploadRow
from api.services import Services
from api.staging.folders import SEGMENTS
from api.staging.segments import Mark, SegmentWriter
from api.staging.strands import Strand
from api.texts.errors import Problem
from shared.crash_points import reached
from shared.status import UploadStatus

EVERY_BYTES = 16 * 1024 * 1024
EVERY_SECONDS = 1.0
"""So often `received` moves while bytes come: what was moved needn't be sent again, whatever
dies."""


class Appending:
    """Takes one body."""

    def __init__(
        self, services: Services, row: UploadRow, strand: Strand, checksum: Checksum | None
    ) -> None:
        """`row` is as it was when this request took its turn in the records."""
        self._services = services
        self._row = row
        self._strand = strand
        self._checksum = checksum
        self._hash = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        self._file = SegmentWriter(
            services.staging, strand.segment.name, strand.mark, before=strand.before
        )
        self._unmoved = 0
        self._moved_at = time.monotonic()
        self._moving: asyncio.Task[None] | None = None
        self._is_unknown = False
        """Whether a commit was sent, and nobody knows what became of it."""

    async def run(self, turn: Turn, body: Body) -> UploadRow:
        """The upload when all that is kept of the body is acknowledged. Raises what the body
        raises, having kept what came before, and as `resumable.append` does."""
        try:
            async with turn.reading():
                async for chunk in body:
                    turn.came(len(chunk))
                    await self._take(chunk)
            self._compare()
        except BaseException as error:
            with suppress(Problem):  # the first one says what is wrong
                await asyncio.shield(self._end(keeps=self._is_meant(error)))
            raise
        await asyncio.shield(self._end(keeps=True))
        return self._row

    def _is_meant(self, error: BaseException) -> bool:
        """Whether what came before the error is what the client means to send: not where it has a
        checksum that can't be compared, nor where it sends more than the upload has, which would
        make a file of the beginning of another."""
        is_beyond = isinstance(error, Problem) and error.code == "request-too-large"
        return not self._checksum and not is_beyond

    async def _end(self, *, keeps: bool) -> None:
        """In one: what is cancelled meanwhile must not close what is being acknowledged."""
        try:
            if keeps:
                await self._keep()
        finally:
            await self._close()

    async def _take(self, chunk: bytes | memoryview) -> None:
        if self._hash:
            self._hash.update(chunk)
        await self._file.write(chunk)
        self._unmoved += len(chunk)
        if self._moving and self._moving.done():
            await self._moved()
        now = time.monotonic()
        is_due = self._unmoved >= EVERY_BYTES or now - self._moved_at >= EVERY_SECONDS
        if is_due and not self._moving and not self._checksum:
            self._unmoved, self._moved_at = 0, now
            await self._file.flush()
            self._moving = asyncio.create_task(self._move())

    async def _moved(self) -> None:
        if self._moving:
            moving, self._moving = self._moving, None
            await moving

    def _compare(self) -> None:
        if self._checksum and self._hash and self._hash.digest() != self._checksum.digest:
            raise Problem("checksum-mismatch")

    async def _keep(self) -> None:
        """Acknowledge all that came; of what can't be written, what came before."""
        await self._moved()
        try:
            mark = await self._file.finish()
        except Problem:
            await self._move()
            raise
        await self._advance(mark)

    async def _move(self) -> None:
        await self._advance(await self._file.sync())

    async def _advance(self, mark: Mark) -> None:
        if mark.size == self._strand.segment.size:
            return
        database, keep_ms = self._services.database, self._services.settings.retention.receiving_ms
        try:
            row = await database.write(
                segments.advance,
                self._row,
                self._strand.segment,
                size=mark.size,
                keep_ms=keep_ms,
            )
        except CommitUnknown:
            self._is_unknown = True
            raise
        if row is None:
            raise await self._why_not()
        reached("api-after-offset")
        self._row, self._strand = row, self._strand.at(mark)

    async def _why_not(self) -> Problem:
        """Another request took the upload, or it has ended."""
        row = await self._services.database.read(uploads.get, self._row.id)
        if row is None:
            return Problem("not-found")
        is_here = row.status is UploadStatus.RECEIVING
        return locked() if is_here else Problem("upload-gone", field=row.field)

    async def _close(self) -> None:
        with suppress(Problem):  # it was told, or the body's own was
            await self._moved()
        await self._file.close()
        if self._is_unknown or self._file.is_broken:
            return
        if self._strand.segment.size:
            self._services.strands.keep(self._strand)
        else:  # nobody was promised anything of it
            with suppress(Problem):
                await self._services.staging.drop(SEGMENTS, self._strand.segment.name)
