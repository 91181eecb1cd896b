"""`python -m api.backlog`: what waits and why, and failed uploads tried again in bulk."""

from pathlib import Path

import pytest

from api.records.rows import UploadRow
from api.upkeep.sweep import Sweep
from shared.internal_api import Failed
from shared.status import UploadStatus
from tests.support.services import Scene
from tests.support.starting import api_settings, run


@pytest.fixture
def env(tmp_path: Path, database_url: str) -> dict[str, str]:
    return api_settings(tmp_path, DATABASE_URL=database_url)


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
    scene: Scene, env: dict[str, str]
) -> None:
    failed, lost = await _failed(scene), await _lost(scene)
    working = await scene.staged()
    await scene.claimed(working)
    waiting = await scene.staged()
    ended = run("api.backlog", env)
    assert (ended.status, ended.lines) == (0, [])
    *lines, counts = ended.out.splitlines()
    reasons = [
        (waiting, "due, after 0 attempts; fails in 6 d"),
        (working, "claimed, attempt 1; lease for"),
        (failed, "deadline-passed; bytes are kept for 29 d"),
        (lost, "bytes-lost; can't be tried again"),
    ]
    for line, (upload, reason) in zip(lines, reasons, strict=True):
        assert line.startswith(f"{upload.id}  ")
        assert f"acceptance/needed  {upload.form_id}  {reason}" in line
    assert counts == "receiving 0, staged 1, processing 1, failed 2"
    [line, _] = run("api.backlog", env, "--code", "bytes-lost").out.splitlines()
    assert line.startswith(lost.id)
    assert "--limit shows them" in run("api.backlog", env, "--limit", "1").out


async def test_failed_uploads_are_tried_again_in_bulk_and_begin_anew(
    scene: Scene, env: dict[str, str]
) -> None:
    failed, lost = [await _failed(scene) for _ in range(3)], await _lost(scene)
    first = run("api.backlog", env, "--retry", "--limit", "1")
    assert first.out.splitlines()[0] == f"{failed[0].id}  tried again"
    ended = run("api.backlog", env, "--retry")
    assert ended.status == 0, ended.lines
    assert ended.out.splitlines()[-1] == (
        "2 of the failed uploads are tried again; of 1 the bytes are gone"
    )
    for upload in failed:
        now = await scene.now(upload)
        assert (now.status, now.attempts, now.error) == (UploadStatus.STAGED, 0, None)
        assert now.deadline > now.created_at
        await scene.claimed(upload)
    assert (await scene.now(lost)).status is UploadStatus.FAILED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_is_not_there_is_said_in_one_line(env: dict[str, str]) -> None:
    ended = run("api.backlog", env, "--retry")
    assert ended.status == 1
    [line] = ended.lines
    assert line.startswith("api: DATABASE_URL: there is no database")


def test_only_failed_uploads_can_be_asked_to_be_tried_again(tmp_path: Path) -> None:
    ended = run("api.backlog", api_settings(tmp_path), "--retry", "--status", "staged")
    assert ended.status == 2
    assert "only failed uploads are tried again" in ended.lines[-1]
