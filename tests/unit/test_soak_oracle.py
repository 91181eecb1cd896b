"""The oracle of the soak and of the fault tests sees each way to break the promise."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dev.soak.ledger import Entry, Ledger
from dev.soak.settle import Verdict, judge

CONTENT = b"%PDF-"
SHA = hashlib.sha256(CONTENT).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def _entry(**values: Any) -> Entry:
    return Entry(
        **{
            "upload_id": "upl_a",
            "form_id": "frm_a",
            "field": "licence",
            "sha256": SHA,
            "unchanged": True,
            "hostile": False,
            "seconds": 0,
            **values,
        }
    )


def _upload(status: str, **values: Any) -> dict[str, Any]:
    return {
        "id": "upl_a",
        "form_id": "frm_a",
        "field": "licence",
        "status": status,
        "sha256": SHA,
        "object": {"sha256": SHA},
        "error": {"code": "attempts-exhausted"},
        "created_at": "2026-01-01T00:00:00Z",
        **values,
    }


NEWER = _upload("stored", id="upl_b", created_at="2026-01-01T00:00:01Z")


@pytest.mark.parametrize(
    ("entry", "upload", "beside"),
    [
        (_entry(), None, []),
        (_entry(), _upload("stored", sha256=OTHER), []),
        (_entry(), _upload("stored", object={"sha256": OTHER}), []),
        (_entry(), _upload("removed"), []),
        (_entry(), _upload("replaced"), []),
        (_entry(), _upload("replaced"), [{**NEWER, "field": "resume"}]),
        (_entry(), _upload("replaced"), [{**NEWER, "status": "rejected"}]),
        (_entry(), _upload("failed"), []),
        (_entry(hostile=True), _upload("rejected"), []),
    ],
)
def test_what_is_lost_is_called_lost(
    tmp_path: Path, entry: Entry, upload: dict[str, Any] | None, beside: list[dict[str, Any]]
) -> None:
    assert len(_judged(tmp_path, entry, upload, beside).lost) == 1


@pytest.mark.parametrize(
    ("entry", "upload"),
    [(_entry(hostile=True), _upload("stored")), (_entry(), _upload("rejected"))],
)
def test_a_wrong_verdict_about_a_file_is_called_wrong(
    tmp_path: Path, entry: Entry, upload: dict[str, Any]
) -> None:
    _keep(tmp_path)
    assert len(_judged(tmp_path, entry, upload, []).wrong) == 1


@pytest.mark.parametrize(
    ("entry", "upload", "beside"),
    [
        (_entry(), _upload("stored"), []),
        (_entry(), _upload("replaced"), [NEWER]),
        (_entry(removed=True), _upload("removed"), []),
        (_entry(), _upload("failed"), []),
        (_entry(hostile=True), _upload("rejected"), []),
    ],
)
def test_what_ended_as_it_must_is_no_trouble(
    tmp_path: Path, entry: Entry, upload: dict[str, Any], beside: list[dict[str, Any]]
) -> None:
    _keep(tmp_path)
    assert not _judged(tmp_path, entry, upload, beside).broken


@pytest.mark.parametrize(
    ("entry", "upload", "beside"),
    [
        (_entry(), _upload("failed", error={"code": "bytes-expired"}), []),
        (_entry(hostile=True), _upload("rejected"), [NEWER]),
    ],
)
def test_bytes_that_may_be_gone_are_not_missed(
    tmp_path: Path, entry: Entry, upload: dict[str, Any], beside: list[dict[str, Any]]
) -> None:
    assert not _judged(tmp_path, entry, upload, beside).broken


def test_one_id_for_two_files_is_a_broken_promise() -> None:
    ledger = Ledger()
    ledger.acknowledge(_entry())
    ledger.acknowledge(_entry())
    assert ledger.broken == []
    ledger.acknowledge(_entry(sha256=OTHER))
    assert len(ledger.broken) == 1


def _keep(staging: Path) -> None:
    (staging / "staged").mkdir()
    (staging / "staged/upl_a").write_bytes(CONTENT)


def _judged(
    staging: Path, entry: Entry, upload: dict[str, Any] | None, beside: list[dict[str, Any]]
) -> Verdict:
    verdict = Verdict()
    uploads = {each["id"]: each for each in [upload, *beside] if each}
    judge(verdict, entry, upload, uploads, staging)
    return verdict
