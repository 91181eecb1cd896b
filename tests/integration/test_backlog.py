"""`python -m api.backlog`: what waits and why, and failed uploads tried again in bulk."""

import re
from pathlib import Path

import pytest

from api.backlog import options_of, tell
from api.records import waiting
from api.records.rows import UploadRow
from api.upkeep.sweep import Sweep
from shared.internal_api import Failed
from shared.status import UploadStatus
from tests.support.many_rows import Work, fill
from tests.support.plans import captured, explain, full_scans
from tests.support.services import Scene
from tests.support.starting import api_settings, run


async def _said(scene: Scene, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines it prints, on the records of the scene."""
    capsys.readouterr()
    assert await tell(scene.services.settings, options_of([*arguments])) == 0
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d ", line)]  # no logs


async def _failed(scene: Scene) -> UploadRow:
    """Its deadline passed, and its bytes are kept."""
    upload = await scene.staged()
    await scene.set_all(deadline=1)
    await Sweep(scene.services).overdue.fail_overdue()
    return upload


async def _lost(scene: Scene) -> UploadRow:
    """Its bytes are gone, so that it can't be tried again."""
    upload = await scene.staged()
    order = await scene.claimed(upload)
    (scene.services.staging.root / "staged" / upload.id).unlink()
    failed = Failed(upload_id=upload.id, generation=order.generation, code="bytes-lost")
    await scene.report(failed)
    return upload


async def test_what_waits_is_listed_with_the_reason_oldest_first(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    failed, lost = await _failed(scene), await _lost(scene)
    working = await scene.staged()
    await scene.claimed(working)
    due = await scene.staged()
    *lines, counts = await _said(scene, capsys)
    reasons = [
        (due, "due, after 0 attempts; fails in 6 d"),
        (working, "claimed, attempt 1; lease for"),
        (failed, "deadline-passed; bytes are kept for 29 d"),
        (lost, "bytes-lost; can't be tried again"),
    ]
    for line, (upload, reason) in zip(lines, reasons, strict=True):
        assert line.startswith(f"{upload.id}  ")
        assert f"acceptance/needed  {upload.form_id}  {reason}" in line
    assert counts == "receiving 0, staged 1, processing 1, failed 2"
    [line, _] = await _said(scene, capsys, "--code", "bytes-lost")
    assert line.startswith(lost.id)
    assert "--limit shows them" in (await _said(scene, capsys, "--limit", "1"))[1]


async def test_failed_uploads_are_tried_again_in_bulk_and_begin_anew(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    failed, lost = [await _failed(scene) for _ in range(3)], await _lost(scene)
    [first, _] = await _said(scene, capsys, "--retry", "--limit", "1")
    assert first == f"{failed[0].id}  tried again"
    *_, counts = await _said(scene, capsys, "--retry")
    assert counts == "tried again: 2; can't be: 1"
    for upload in failed:
        now = await scene.now(upload)
        assert (now.status, now.attempts, now.error) == (UploadStatus.STAGED, 0, None)
        assert now.deadline > now.created_at
        await scene.claimed(upload)
    assert (await scene.now(lost)).status is UploadStatus.FAILED


async def test_what_waits_is_found_without_a_look_at_all_the_rest(scene: Scene) -> None:
    database = scene.services.database
    await fill(database, 6000, Work(waiting=300, failed=50), clean_every=1)
    with captured(database) as statements:
        found, last = await database.scan(waiting.listed, "failed", limit=20)
        rest, _ = await database.scan(waiting.listed, "failed", last)
    assert len({each.id for each in found + rest}) == 50
    for statement, parameters in statements.items():
        plan = await database.read(explain, statement, parameters)
        assert not full_scans(plan), f"{statement}\n{plan}"


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    ended = run("api.backlog", api_settings(tmp_path), "--retry")
    assert ended.status == 1
    [line] = ended.lines
    assert line.startswith("api: DATABASE_URL: there is no database")


def test_only_failed_uploads_can_be_asked_to_be_tried_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        options_of(["--retry", "--status", "staged"])
    assert "only failed uploads are tried again" in capsys.readouterr().err
