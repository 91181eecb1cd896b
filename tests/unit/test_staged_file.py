"""The worker reads the bytes that were acknowledged, from the volume they were written to."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from api.openapi.examples import ORDER
from shared.internal_api import WorkOrder
from shared.volume import MARKER
from worker.errors import TransientError
from worker.staged_file import BytesGone, verified

CONTENT = b"as it was acknowledged"
PART = 1000


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.staged_file.SECOND_LOOK_SECONDS", 0)


@pytest.fixture
def order(tmp_path: Path) -> WorkOrder:
    """Of a file that lies on its volume."""
    order = WorkOrder.model_validate(
        ORDER | {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    )
    (tmp_path / MARKER).write_text(f"{order.volume_id}\n")
    (tmp_path / order.staged_path).parent.mkdir()
    (tmp_path / order.staged_path).write_bytes(CONTENT)
    return order


async def test_the_file_is_the_one_that_was_acknowledged(tmp_path: Path, order: WorkOrder) -> None:
    found = await verified(tmp_path, order, PART)
    assert (found.size, found.sha256) == (len(CONTENT), order.sha256)


@pytest.mark.parametrize("marker", ["vol_another", "", None])
@pytest.mark.parametrize("there", [True, False])
async def test_on_another_volume_nothing_is_known_of_the_file(
    tmp_path: Path, order: WorkOrder, marker: str | None, *, there: bool
) -> None:
    (tmp_path / MARKER).unlink()
    if marker is not None:
        (tmp_path / MARKER).write_text(marker)
    if not there:
        (tmp_path / order.staged_path).unlink()
    with pytest.raises(TransientError) as waits:
        await verified(tmp_path, order, PART)
    assert (waits.value.cause, waits.value.counted) == ("volume", False)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "bytes-lost"),
        (CONTENT[:-1], "bytes-changed"),
        (CONTENT + b"!", "bytes-changed"),
        (CONTENT.swapcase(), "bytes-changed"),
        (b"", "bytes-changed"),
    ],
)
async def test_bytes_that_are_gone_or_others_are_told(
    tmp_path: Path, order: WorkOrder, content: bytes | None, code: str
) -> None:
    path = tmp_path / order.staged_path
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BytesGone) as gone:
        await verified(tmp_path, order, PART)
    assert gone.value.code == code


async def test_a_file_that_cant_be_read_is_the_volumes_fault(
    tmp_path: Path, order: WorkOrder
) -> None:
    (tmp_path / order.staged_path).unlink()
    (tmp_path / order.staged_path).mkdir()
    with pytest.raises(TransientError) as waits:
        await verified(tmp_path, order, PART)
    assert (waits.value.cause, waits.value.counted) == ("volume", False)


@pytest.mark.parametrize("shown", [None, CONTENT[:-1]])
async def test_a_file_that_is_shown_late_is_looked_at_twice(
    tmp_path: Path, order: WorkOrder, monkeypatch: pytest.MonkeyPatch, shown: bytes | None
) -> None:
    path = tmp_path / order.staged_path
    path.unlink()
    if shown is not None:
        path.write_bytes(shown)
    really = asyncio.sleep

    async def sleep(seconds: float) -> None:
        path.write_bytes(CONTENT)
        await really(seconds)

    monkeypatch.setattr("worker.staged_file.asyncio.sleep", sleep)
    assert (await verified(tmp_path, order, PART)).sha256 == order.sha256
