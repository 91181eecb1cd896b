"""Whether the service lives, and whether it can take uploads."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from api.deps import Serving
from api.errors import Problem
from api.openapi.operation import answer, operation
from api.records import uploads

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    status: Literal["ready", "not ready"]
    checks: dict[str, bool]


_READY = {"status": "ready", "checks": {"database": True, "volume": True, "space": True}}


@router.get(
    "/healthz",
    summary="Alive",
    **operation(answers={200: answer("Alive", Health, example={"status": "ok"})}),
)
async def healthz() -> Response:
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    summary="Can take uploads",
    **operation(
        answers={
            200: answer("It can", Readiness, example=_READY, always=("Cache-Control",)),
            503: answer(
                "It can't, for the checks that are false",
                Readiness,
                example=_READY | {"status": "not ready"},
                always=("Cache-Control", "Retry-After"),
            ),
        }
    ),
)
async def readyz(services: Serving) -> Response:
    """Database, volume marker and free space; not Redis, without which uploads are taken too."""
    checks = {
        "database": await _database_answers(services),
        "volume": await services.volume.matches(),
        "space": services.staging.has_room(),
    }
    ready = all(checks.values())
    return JSONResponse(
        {"status": "ready" if ready else "not ready", "checks": checks},
        status_code=200 if ready else 503,
        headers={"Cache-Control": "no-store"} | ({} if ready else {"Retry-After": "5"}),
    )


async def _database_answers(services: Serving) -> bool:
    try:
        async with services.database.read() as conn:
            await uploads.clock(conn)
    except Problem:
        return False
    return True
