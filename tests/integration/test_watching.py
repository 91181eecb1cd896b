"""What operators see: metrics and details of readiness, on the internal listener alone."""

import math
import os
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, update

from api.records.database import DatabaseUnavailable, clock
from api.records.tables import staged_names, workers
from api.services import Services
from api.telemetry.metrics import Metrics
from api.upkeep import backlog_figures
from api.upkeep.backlog_figures import Backlog
from api.upkeep.sweep import Sweep
from shared.causes import Cause
from tests.support.listeners import SECRET, internal, new_form, public, send
from tests.support.many_rows import Work, fill
from tests.support.plans import captured, explain, full_scans
from tests.support.services import Scene, given_back, rejected, services_on, stored
from tests.support.sql import execute, values_of

Samples = dict[tuple[str, tuple[str, ...]], float]
"""By name and the values of the labels, in the order of their names."""


async def test_what_became_of_uploads_is_counted_once_it_is_committed(scene: Scene) -> None:
    await scene.report(stored(await scene.claimed(await scene.staged())))
    await scene.report(rejected(await scene.claimed(await scene.staged())))
    back = await scene.staged()
    await scene.report(given_back(await scene.claimed(back)))
    seen = await _scraped(scene.services)
    assert seen["longshore_acknowledged_uploads_total", ()] == 3
    assert seen["longshore_received_bytes_total", ()] == 15
    assert seen["longshore_claims_total", ()] == 3
    assert seen["longshore_outcomes_total", ("", "stored")] == 1
    assert seen["longshore_outcomes_total", ("file-corrupt", "rejected")] == 1
    assert seen["longshore_given_back_total", ("store",)] == 1
    assert seen["longshore_last_stored_timestamp_seconds", ()] > 1e9


async def test_the_backlog_is_the_databases_whoever_is_asked(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        services_on(tmp_path, database_url) as one,
        services_on(tmp_path, database_url) as other,
    ):
        scene = await Scene.create(one)
        await scene.staged()
        await scene.claimed(await scene.staged())
        await scene.set_all(created_at=await _now(one) - 90_000)
        for services in (one, other):
            seen = await _scraped(services)
            assert seen["longshore_backlog_uploads", ("staged",)] == 1
            assert seen["longshore_backlog_uploads", ("processing",)] == 1
            assert 90 <= seen["longshore_oldest_pending_seconds", ()] < 150
            assert seen["longshore_database_up", ()] == 1


async def test_lost_leases_orphans_and_sweeps_are_counted(scene: Scene) -> None:
    await scene.claimed(await scene.staged())
    await scene.set_all(lease_until=1)
    orphan = await scene.received()
    os.utime(scene.services.staging.root / "staged" / orphan.staged.name, (1, 1))
    sweep = Sweep(scene.services)
    sweep.patience.hearing_since = -math.inf
    await sweep.once()
    seen = await _scraped(scene.services)
    assert seen["longshore_leases_lost_total", ()] == 1
    assert seen["longshore_orphans_total", ()] == 1
    assert seen["longshore_quarantined_files", ()] == 1
    assert seen["longshore_cleanings", ("later",)] == 1
    assert seen["longshore_last_sweep_timestamp_seconds", ()] > 1e9


async def test_a_file_in_quarantine_is_counted_for_as_long_as_it_is_kept(scene: Scene) -> None:
    orphan = await scene.received()
    os.utime(scene.services.staging.root / "staged" / orphan.staged.name, (1, 1))
    await Sweep(scene.services).clearing.quarantine_orphans()
    kept = scene.services.settings.quarantine_seconds
    for over, count in ((-60, 1), (60, 0)):
        at = int((time.time() - kept - over) * 1000)
        await execute(scene.services.database, update(staged_names).values(at=at))
        waiting = await Backlog(scene.services.database, scene.services.settings).read()
        assert waiting
        assert waiting.quarantined == count


async def test_the_backlog_is_asked_for_anew_after_five_seconds_and_not_before(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [2.0]  # of a machine that was just started
    monkeypatch.setattr(backlog_figures, "time", SimpleNamespace(monotonic=lambda: now[0]))
    backlog = Backlog(scene.services.database, scene.services.settings)
    first = await backlog.read()
    await scene.staged()
    now[0] += 5
    assert first
    assert await backlog.read() is first
    now[0] += 0.1
    anew = await backlog.read()
    assert anew
    assert anew.by_status != first.by_status


async def test_a_sweep_with_a_step_that_failed_was_no_successful_one(scene: Scene) -> None:
    sweep = Sweep(scene.services)

    async def fail_overdue() -> None:
        raise RuntimeError("no")

    sweep.overdue.fail_overdue = fail_overdue  # type: ignore[method-assign] # a stand-in
    await sweep.once()
    seen = await _scraped(scene.services)
    assert seen["longshore_sweep_failures_total", ("fail_overdue",)] == 1
    assert scene.services.metrics.last_sweep_at is None


async def test_acknowledgements_are_timed_and_refusals_counted_by_code(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        assert (await send(client, form, b"content")).status_code == 202
        assert (await send(client, form, b"")).status_code == 422
        assert (await client.get("/nowhere")).status_code == 404
    seen = await _scraped(services)
    assert seen["longshore_acknowledgement_seconds_count", ()] == 1
    assert seen["longshore_refused_requests_total", ("file-empty", "public")] == 1
    assert seen["longshore_refused_requests_total", ("not-found", "public")] == 1


async def test_the_volumes_free_room_is_shown(services: Services) -> None:
    seen = await _scraped(services)
    assert 0 < seen["longshore_volume_free_bytes", ()] < seen["longshore_volume_size_bytes", ()]
    assert ("longshore_volume_free_inodes", ()) in seen


async def test_what_uploads_need_to_be_taken_is_shown_as_readiness_has_it(
    services: Services,
) -> None:
    checks = ("database", "volume", "space")
    seen = await _scraped(services)
    assert [seen["longshore_ready", (check,)] for check in checks] == [1, 1, 1]
    (services.staging.root / ".longshore-volume").unlink()
    seen = await _scraped(services)
    assert [seen["longshore_ready", (check,)] for check in checks] == [1, 0, 1]


async def test_metrics_want_a_secret_which_may_be_one_for_them_alone(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        services_on(tmp_path, database_url, metrics_secrets=("scrape",)) as services,
        internal(services) as client,
    ):
        scrape = {"Authorization": "Bearer scrape"}
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers=SECRET)).status_code == 200
        answer = await client.get("/metrics", headers=scrape)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        claim = await client.post("/internal/cleanings/claim", json={"limit": 1}, headers=scrape)
        assert claim.status_code == 401


async def test_the_worst_that_a_living_worker_says_of_the_store_is_shown_by_every_replica(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        services_on(tmp_path, database_url) as one,
        services_on(tmp_path, database_url) as other,
    ):
        await _heard(one, "wrk_" + "a" * 26, store="ok", waiting=2)
        await _heard(one, "wrk_" + "b" * 26, store="away", seconds=90, waiting=30)
        await _heard(one, "wrk_" + "b" * 26, store="away", seconds=95, waiting=40)
        await _heard(one, "wrk_" + "c" * 26, store="refused", seconds=10)
        await _silent_for(one, "wrk_" + "c" * 26, 21)
        for services in (one, other):
            seen = await _scraped(services)
            assert seen["longshore_workers", ()] == 2
            assert seen["longshore_store_up", ()] == 0
            assert seen["longshore_checked_uploads", ()] == 42
            async with internal(services) as client:
                answer = await client.get("/readyz")
            said = answer.json()
            assert answer.status_code == 200, "uploads are taken without a store"
            assert said["workers"] == 2
            assert (said["store"]["state"], said["store"]["waiting_uploads"]) == ("away", 42)
            since = datetime.fromisoformat(said["store"]["since"]).timestamp() * 1000
            assert abs(await _now(services) - 95_000 - since) < 10_000


async def test_without_a_worker_nothing_is_said_of_the_store(services: Services) -> None:
    seen = await _scraped(services)
    assert seen["longshore_workers", ()] == 0
    assert math.isnan(seen["longshore_store_up", ()])
    async with internal(services) as client:
        said = (await client.get("/readyz")).json()
    assert (said["status"], said["workers"], said["store"]) == ("ready", 0, None)


async def test_a_worker_that_was_silent_for_long_is_forgotten_by_the_sweep(
    services: Services,
) -> None:
    gone, alive = "wrk_" + "a" * 26, "wrk_" + "b" * 26
    for each in (gone, alive):
        await _heard(services, each)
    await _silent_for(services, gone, 61)
    await Sweep(services).once()
    kept = await values_of(services.database, select(workers.c.id))
    assert kept == [alive]


@pytest.mark.parametrize(
    "report",
    [
        {"store": "gone"},
        {"store_for_seconds": -1},
        {"store_for_seconds": "many"},
        {"store_for_seconds": 1e300},
        {"waiting": -1},
        {"waiting": None},
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(
    services: Services, report: dict[str, object]
) -> None:
    fine = {"store": "ok", "store_for_seconds": 1.5, "waiting": 0}
    path = f"/internal/workers/wrk_{'a' * 26}"
    async with internal(services) as client:
        answer = await client.put(path, json=fine | report, headers=SECRET)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
        assert (await client.put(path, json=fine)).status_code == 401
        odd = await client.put("/internal/workers/me", json=fine, headers=SECRET)
        assert odd.status_code == 422


async def test_only_the_internal_readiness_says_more_than_its_checks(scene: Scene) -> None:
    await scene.stored()
    await scene.staged()
    await Sweep(scene.services).once()
    async with public(scene.services) as client:
        assert (await client.get("/readyz")).json().keys() == {"status", "checks"}
        assert (await client.get("/metrics")).status_code == 404
    async with internal(scene.services) as client:
        said = (await client.get("/readyz")).json()
    assert said["status"] == "ready"
    assert said["checks"] == {"database": True, "volume": True, "space": True}
    assert said["backlog"] == {"receiving": 0, "staged": 1, "processing": 0, "failed": 0}
    assert 0 <= said["oldest_pending_seconds"] < 60
    assert said["last_stored_at"].endswith("Z")
    assert said["last_sweep_at"].endswith("Z")


async def test_without_a_database_the_metrics_say_so_and_show_no_old_figures(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise DatabaseUnavailable

    for way in ("read", "scan"):
        monkeypatch.setattr(type(services.database), way, away)
    seen = await _scraped(services)
    assert seen["longshore_database_up", ()] == 0
    backlog = seen["longshore_backlog_uploads", ("staged",)]
    assert backlog != backlog, "NaN"  # noqa: PLR0124 - that is how NaN is told
    async with internal(services) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["backlog"] is None


async def test_the_gauges_search_indexes_and_ask_once_in_a_while(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url) as services:
        await fill(services.database, 6000, Work(waiting=300, leased=20, failed=50), clean_every=1)
        async with internal(services) as client:
            with captured(services.database) as statements:
                assert (await client.get("/metrics", headers=SECRET)).status_code == 200
            with captured(services.database) as again:
                assert (await client.get("/metrics", headers=SECRET)).status_code == 200
        assert len(statements) == 7
        assert not again
        for statement, parameters in statements.items():
            if "cleanings" in statement or "FROM workers" in statement:
                continue  # all of them wait here; there are as many rows as workers
            plan = await services.database.read(explain, statement, parameters)
            assert not full_scans(plan), f"{statement}\n{plan}"


def test_what_a_worker_invents_adds_no_labels() -> None:
    metrics = Metrics()
    for number in range(50):
        metrics.gave_back(f"invented-{number}")
        metrics.refusal("public", f"invented-{number}")
    for cause in Cause:
        metrics.gave_back(cause)
    text = metrics.text().decode()
    assert "invented" not in text
    assert 'longshore_given_back_total{cause="other"} 50.0' in text
    assert 'longshore_given_back_total{cause="office"} 1.0' in text


async def _scraped(services: Services) -> Samples:
    async with internal(services) as client:
        answer = await client.get("/metrics", headers=SECRET)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def _heard(
    services: Services, worker: str, *, store: str = "ok", seconds: float = 0, waiting: int = 0
) -> None:
    report = {"store": store, "store_for_seconds": seconds, "waiting": waiting}
    async with internal(services) as client:
        answer = await client.put(f"/internal/workers/{worker}", json=report, headers=SECRET)
    assert answer.status_code == 204, answer.text


async def _silent_for(services: Services, worker: str, seconds: int) -> None:
    earlier = workers.c.seen_at - seconds * 1000
    silent = update(workers).where(workers.c.id == worker).values(seen_at=earlier)
    await execute(services.database, silent)


async def _now(services: Services) -> int:
    return await services.database.scan(clock)
