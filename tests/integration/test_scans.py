"""What the record keeps of a scan, and what the api tells workers of its forms."""

from pathlib import Path

import httpx

from api.services import Services
from api.views.rows import upload_view
from shared.internal_api import Rejected, Scan
from shared.status import Verdict
from tests.support.listeners import SECRET, internal
from tests.support.services import Scene, rejected, services_on, stored

CLEAN = Scan(verdict=Verdict.CLEAN, engine="ClamAV 1.4.6", database="27123")
FOUND = Scan(verdict=Verdict.INFECTED, signature="Eicar", engine="ClamAV 1.4.6", database="27123")


async def test_a_verdict_is_kept_with_its_signatures_and_its_time(scene: Scene) -> None:
    order = await scene.claimed(await scene.staged())
    row = await scene.report(stored(order).model_copy(update={"scan": CLEAN}))
    assert row.scan is not None
    kept = {name: value for name, value in row.scan.items() if name != "at"}
    assert kept == {"verdict": "clean", "engine": "ClamAV 1.4.6", "database": "27123"}
    assert row.created_at <= row.scan["at"] <= row.updated_at + 1000


async def test_of_a_finding_the_name_is_kept_and_clients_see_verdict_and_time(scene: Scene) -> None:
    order = await scene.claimed(await scene.staged())
    row = await scene.report(rejected(order).model_copy(update={"scan": FOUND}))
    assert row.scan is not None
    assert row.scan["signature"] == "Eicar"
    shown = upload_view(row, "http://x").model_dump(mode="json")["scan"]
    assert shown.keys() == {"verdict", "at"}


async def test_without_a_scanner_nothing_is_kept_and_a_worker_of_before_need_not_say(
    scene: Scene,
) -> None:
    order = await scene.claimed(await scene.staged())
    said = rejected(order).model_dump(mode="json")
    del said["scan"]
    outcome = Rejected.model_validate(said)
    row = await scene.report(outcome)
    assert row.scan is None
    assert upload_view(row, "http://x").scan is None


async def test_verdicts_are_counted_once_however_often_they_are_told(scene: Scene) -> None:
    order = await scene.claimed(await scene.staged())
    outcome = stored(order).model_copy(update={"scan": CLEAN})
    for _ in range(3):
        await scene.report(outcome)
    text = scene.services.metrics.text().decode()
    assert 'longshore_scans_total{verdict="clean"} 1.0' in text


async def test_a_worker_is_told_the_most_bytes_of_a_file_that_is_scanned(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url) as services:
        assert await _largest(services) == 2_200_000_000
    form = tmp_path / "forms/acceptance.toml"
    largest = "max_bytes = 2_200_000_000"
    form.write_text(form.read_text().replace(largest, f"{largest}\nscan = false"))
    async with services_on(tmp_path, database_url) as services:
        assert await _largest(services) == 20_000_000


async def _largest(services: Services) -> int:
    async with internal(services) as client:
        client.headers.update(SECRET)
        answer: httpx.Response = await client.get("/internal/limits")
    assert answer.status_code == 200
    return int(answer.json()["largest_scanned_bytes"])
