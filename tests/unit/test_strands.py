"""What a process remembers of an upload that comes in pieces."""

import hashlib

import pytest

from api.records.rows import SegmentRow
from api.staging.digest import Digest
from api.staging.segments import Extent
from api.staging.strands import Strand, digest_before


def segment(start: int, size: int) -> SegmentRow:
    return SegmentRow(name=f"seg_{start}", upload_id="upl", start=start, size=size, condemned=False)


@pytest.mark.parametrize(
    ("known", "unhashed", "start", "missing"),
    [
        (None, [], 0, ()),
        (None, [segment(0, 5), segment(5, 2)], 7, (Extent("seg_0", 5), Extent("seg_5", 2))),
        (segment(0, 5), [segment(5, 2)], 7, (Extent("seg_5", 2),)),
        (segment(0, 5), [], 5, ()),
    ],
)
def test_what_comes_before_a_piece_is_hashed_once(
    known: SegmentRow | None,
    unhashed: list[SegmentRow],
    start: int,
    missing: tuple[Extent, ...],
) -> None:
    hashed = hashlib.sha256(b"01234")
    strand = Strand(known, Digest(hashed)) if known else None
    digest, lacks = digest_before(strand, unhashed, start)
    assert digest is not None
    hash_ = digest.at_once
    assert hash_ is not None
    assert hash_.hexdigest() == (hashed if known else hashlib.sha256()).hexdigest()
    assert lacks == missing


def test_behind_a_hole_nothing_is_hashed_yet() -> None:
    assert digest_before(None, [segment(0, 5)], 6) == (None, ())
