"""Whether the service lives, and whether it can take uploads."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from api.openapi.operation import answer, operation
from api.records.database import clock
from api.routes.deps import Serving
from api.services import Services
from api.texts.errors import Problem
from shared.version import VERSION

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    status: Literal["ok"]
    version: str
    """The release that answers: during an upgrade there may be two."""


class Readiness(BaseModel):
    status: Literal["ready", "not ready"]
    checks: dict[str, bool]


HEALTH = {"status": "ok", "version": VERSION}
READY = {"status": "ready", "checks": {"database": True, "volume": True, "space": True}}
ALIVE = operation(answers={200: answer("Alive", Health, example=HEALTH)})


@router.get("/healthz", summary="Alive", **ALIVE)
async def healthz() -> Response:
    return JSONResponse(HEALTH)


@router.get(
    "/readyz",
    summary="Can take uploads",
    **operation(
        answers={
            200: answer("It can", Readiness, example=READY, always=("Cache-Control",)),
            503: answer(
                "It can't, for the checks that are false",
                Readiness,
                example=READY | {"status": "not ready"},
                always=("Cache-Control", "Retry-After"),
            ),
        }
    ),
)
async def readyz(services: Serving) -> Response:
    """Database, volume marker and free space; not Redis, without which uploads are taken too."""
    return readiness(await checks(services))


async def checks(services: Services) -> dict[str, bool]:
    """What has to hold for uploads to be taken."""
    return {"database": await _database_answers(services), **await checks_of_volume(services)}


async def checks_of_volume(services: Services) -> dict[str, bool]:
    """Those that ask the volume alone."""
    return {
        "volume": await services.mount.matches(),
        "space": services.staging.space.is_left(),
    }


def readiness(checked: dict[str, bool], **details: object) -> Response:
    ready = all(checked.values())
    return JSONResponse(
        {"status": "ready" if ready else "not ready", "checks": checked, **details},
        status_code=200 if ready else 503,
        headers={"Cache-Control": "no-store"} | ({} if ready else {"Retry-After": "5"}),
    )


async def _database_answers(services: Services) -> bool:
    try:
        await services.database.read(clock)
    except Problem:
        return False
    return True
