"""What this process remembers of resumable uploads that it writes: its segment, and the digest."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from api.records.rows import SegmentRow
from api.staging.digest import Digest, of_nothing
from api.staging.segments import Extent, Mark
from shared.ids import new_id

MOST = 2000
"""Uploads that are remembered, some 1.5 KB each; of others the digest is made anew."""
CATCH_UP = 64 * 1024 * 1024
"""So much of what others received is read and hashed while a body comes, in one step; more is left
to the end, so that the body isn't kept waiting for it."""


class Strand(NamedTuple):
    """Where one process is with an upload."""

    segment: SegmentRow
    """Its own; what is written next comes behind it."""
    digest: Digest | None
    """Of the upload up to the end of that segment; None where nobody here has one."""
    before: tuple[Extent, ...] = ()
    """What the digest lacks before the segment."""

    @property
    def mark(self) -> Mark:
        """Where its writer goes on."""
        return Mark(self.segment.size, self.digest)

    def at(self, mark: Mark) -> "Strand":
        """The same, once so much of the segment is acknowledged."""
        return Strand(replace(self.segment, size=mark.size), mark.digest)


class Strands:
    """By upload; the longest unused one is forgotten first."""

    def __init__(self) -> None:
        self._strands: OrderedDict[str, Strand] = OrderedDict()

    def keep(self, strand: Strand) -> None:
        """Remember it, until the upload goes on."""
        self._strands[strand.segment.upload_id] = strand
        if len(self._strands) > MOST:
            self._strands.popitem(last=False)

    def take(self, upload_id: str, segments: Sequence[SegmentRow]) -> Strand:
        """How to go on with an upload that has these segments, in their order. It is forgotten
        here: who writes keeps what comes of it."""
        known = self._strands.pop(upload_id, None)
        if known and segments and known.segment == segments[-1]:
            return known
        end = segments[-1].end if segments else 0
        digest: Digest | None
        digest, missing = _digest_of(known, segments)
        if sum(extent.size for extent in missing) > CATCH_UP:
            digest, missing = None, ()
        new = SegmentRow(
            name=new_id("seg"), upload_id=upload_id, start=end, size=0, condemned=False
        )
        return Strand(new, digest, missing)

    def of(self, upload_id: str) -> Strand | None:
        """What is remembered of it; it still is then."""
        return self._strands.get(upload_id)

    def keep_further(self, strand: Strand) -> None:
        """Remember the one of a piece, unless another's digest reaches further."""
        known = self.of(strand.segment.upload_id)
        if known is None or known.digest is None or known.segment.end < strand.segment.end:
            self.keep(strand)

    def hashed(self, upload_id: str, segments: Sequence[SegmentRow]) -> tuple[Digest, int]:
        """What was hashed here of the upload that has these segments, and how many bytes that is;
        it is forgotten then."""
        known = self._strands.pop(upload_id, None)
        if known and known.digest and known.segment in segments:
            return known.digest, known.segment.end
        return of_nothing(), 0


def _digest_of(
    known: Strand | None, segments: Sequence[SegmentRow]
) -> tuple[Digest, tuple[Extent, ...]]:
    """The digest that there is, and what it lacks."""
    if known and known.digest and known.segment in segments:
        later = segments[segments.index(known.segment) + 1 :]
        return known.digest, extents_of(later)
    return of_nothing(), extents_of(segments)


def digest_before(
    known: Strand | None, unhashed: Sequence[SegmentRow], start: int
) -> tuple[Digest | None, tuple[Extent, ...]]:
    """The digest of what comes before a piece at `start`, and what that lacks: `unhashed`, if there
    is no hole in them; None where there is."""
    digest, end = of_nothing(), 0
    if known and known.digest:
        digest, end = known.digest, known.segment.end
    if end + sum(each.size for each in unhashed) != start:
        return None, ()
    return digest, extents_of(unhashed)


def run_of(segments: Sequence[SegmentRow], start: int) -> list[SegmentRow]:
    """Those that follow each other from `start` on without a hole, as far as is hashed at once."""
    run: list[SegmentRow] = []
    end = start
    for each in segments:
        if each.start != end or each.end - start > CATCH_UP:
            break
        run.append(each)
        end = each.end
    return run


def extents_of(segments: Sequence[SegmentRow]) -> tuple[Extent, ...]:
    """Where their bytes lie."""
    return tuple(Extent(each.name, each.size) for each in segments)
