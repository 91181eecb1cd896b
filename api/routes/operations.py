"""Whether the service lives, and whether it can take uploads."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from api.deps import Serving
from api.errors import Problem
from api.records import uploads

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Alive")
async def healthz() -> Response:
    return JSONResponse({"status": "ok"})


@router.get("/readyz", summary="Can take uploads")
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
