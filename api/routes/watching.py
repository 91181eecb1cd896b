"""For operators, on the internal listener: how it goes, in numbers."""

from datetime import UTC, datetime
from math import nan
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from api.openapi.operation import INTERNAL_SECRET, answer, operation
from api.records.aged import ON_VOLUME
from api.records.waiting import BACKLOG
from api.records.workers import Living
from api.routes.deps import Serving, scraper
from api.routes.operations import (
    ALIVE,
    READY,
    Readiness,
    checks,
    checks_of_volume,
    healthz,
    readiness,
)
from api.services import Services
from api.staging.space import Space
from api.telemetry.metrics import Metrics
from api.upkeep.backlog_figures import Backlog
from shared.status import StoreState

router = APIRouter(tags=["operations"])
router.get("/healthz", summary="Alive", **ALIVE)(healthz)


class StoreDetails(BaseModel):
    """What the workers say of the object store: the worst of it."""

    state: StoreState
    since: str
    waiting_uploads: int


class Details(Readiness):
    backlog: dict[str, int] | None
    oldest_pending_seconds: float | None
    bytes_on_volume: dict[str, int] | None
    oldest_on_volume_seconds: dict[str, float] | None
    failed_ending_soon: int | None
    last_stored_at: str | None
    last_sweep_at: str | None
    workers: int | None
    store: StoreDetails | None


_TEXT = answer("Prometheus' text format") | {
    "content": {"text/plain": {"example": 'longshore_backlog_uploads{status="staged"} 3.0\n'}}
}
_DETAILS = READY | {
    "backlog": {"receiving": 0, "staged": 3, "processing": 2, "failed": 0},
    "oldest_pending_seconds": 1.204,
    "bytes_on_volume": {
        "receiving": 0,
        "staged": 731204,
        "processing": 60412,
        "rejected": 18230,
        "failed": 0,
    },
    "oldest_on_volume_seconds": {
        "receiving": 0,
        "staged": 1.2,
        "processing": 0.9,
        "rejected": 3600,
        "failed": 0,
    },
    "failed_ending_soon": 0,
    "last_stored_at": "2026-01-31T12:00:00Z",
    "last_sweep_at": "2026-01-31T12:00:02Z",
    "workers": 1,
    "store": {"state": "ok", "since": "2026-01-31T09:15:40Z", "waiting_uploads": 2},
}


async def backlog_of(request: Request) -> Backlog:
    backlog: Backlog = request.app.state.backlog
    return backlog


Waiting = Annotated[Backlog, Depends(backlog_of)]


@router.get(
    "/readyz",
    summary="Can take uploads, and how much waits",
    **operation(
        answers={
            200: answer("It can", Details, example=_DETAILS, always=("Cache-Control",)),
            503: answer(
                "It can't, for the checks that are false",
                Details,
                example=_DETAILS | {"status": "not ready"},
                always=("Cache-Control", "Retry-After"),
            ),
        }
    ),
)
async def readyz(services: Serving, backlog: Waiting) -> Response:
    """The backlog is that of all replicas, and null when the database doesn't answer; the sweep
    and the last stored upload are this process's. `store` is null without a worker, and no reason
    to refuse uploads."""
    waiting = await backlog.read()
    return readiness(
        await checks(services),
        backlog=waiting and waiting.by_status,
        oldest_pending_seconds=waiting and round(waiting.oldest_pending_seconds, 3),
        bytes_on_volume=waiting
        and {status: each.size for status, each in waiting.on_volume.items()},
        oldest_on_volume_seconds=waiting
        and {status: each.age_ms / 1000 for status, each in waiting.on_volume.items()},
        failed_ending_soon=waiting and waiting.ending_soon,
        last_stored_at=_moment(services.metrics.last_stored_at),
        last_sweep_at=_moment(services.metrics.last_sweep_at),
        workers=waiting and waiting.workers.count,
        store=waiting and _of_store(waiting.workers),
    )


@router.get(
    "/metrics",
    summary="Prometheus",
    response_class=PlainTextResponse,
    dependencies=[Depends(scraper)],
    **operation(may=(INTERNAL_SECRET,), answers={200: _TEXT}),
)
async def metrics(services: Serving, backlog: Waiting) -> Response:
    await _look(services, backlog, services.metrics)
    return Response(services.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _look(services: Services, backlog: Backlog, shown: Metrics) -> None:
    """Set the gauges; what can't be known just now is NaN, and never an old figure."""
    waiting = await backlog.read()
    shown.database_up.set(waiting is not None)
    shown.oldest_pending.set(waiting.oldest_pending_seconds if waiting else nan)
    shown.quarantined.set(waiting.quarantined if waiting else nan)
    _show_workers(waiting.workers if waiting else None, shown)
    for status in waiting.by_status if waiting else BACKLOG:
        shown.backlog.labels(status).set(waiting.by_status[status] if waiting else nan)
    for which in ("here", "outstanding"):
        shown.receiving_bytes.labels(which).set(
            getattr(waiting.receiving_bytes, which) if waiting else nan
        )
    shown.ending_soon.set(waiting.ending_soon if waiting else nan)
    for status in ("receiving", *ON_VOLUME):
        held = waiting.on_volume[status] if waiting else None
        shown.bytes_on_volume.labels(status).set(held.size if held else nan)
        shown.oldest_on_volume.labels(status).set(held.age_ms / 1000 if held else nan)
    for when in ("due", "later"):
        shown.cleanings.labels(when).set(waiting.cleanings[when] if waiting else nan)
    ready = {"database": waiting is not None, **await checks_of_volume(services)}
    for check, holds in ready.items():
        shown.ready.labels(check).set(holds)
    _show_volume(services.staging.space, shown)


def _show_volume(space: Space, shown: Metrics) -> None:
    try:
        free = space.free()
    except OSError:
        free = None
    shown.volume_bytes.set(free.of_bytes if free else nan)
    shown.free_bytes.set(free.bytes if free else nan)
    shown.free_inodes.set(nan if free is None or free.inodes is None else free.inodes)


def _show_workers(living: Living | None, shown: Metrics) -> None:
    shown.workers.set(living.count if living else nan)
    shown.checked.set(living.waiting if living else nan)
    shown.store_up.set(living.store is StoreState.OK if living and living.store else nan)


def _of_store(living: Living) -> dict[str, object] | None:
    if living.store is None or living.store_since is None:
        return None
    since = _moment(living.store_since / 1000)
    return {"state": living.store, "since": since, "waiting_uploads": living.waiting}


def _moment(timestamp: float | None) -> str | None:
    if timestamp is None:
        return None
    return (
        datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )
