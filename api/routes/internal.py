"""The internal listener: the worker's only way to the record."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path
from starlette.responses import JSONResponse, Response

from api import work
from api.deps import Serving, internal_caller
from api.records import cleaning
from shared.internal_api import (
    ClaimRequest,
    CleaningClaim,
    CleaningOrders,
    CleaningReport,
    Heartbeat,
    Outcome,
    WorkOrder,
)

RowId = Annotated[int, Path(gt=0, lt=2**63)]

router = APIRouter(prefix="/internal", tags=["worker"], dependencies=[Depends(internal_caller)])


@router.post("/uploads/{upload_id}/claim", summary="Take an upload for the length of a lease")
async def claim(services: Serving, upload_id: str, body: ClaimRequest) -> WorkOrder:
    return await work.claim(services, upload_id, body.claim_id)


@router.post("/uploads/{upload_id}/heartbeat", status_code=204, summary="Renew the lease")
async def heartbeat(services: Serving, upload_id: str, body: Heartbeat) -> Response:
    await work.heartbeat(services, upload_id, body.generation, body.stage)
    return Response(status_code=204)


@router.patch("/forms/{form_id}", summary="Report the outcome of an upload")
async def apply_outcome(
    services: Serving, form_id: str, outcome: Annotated[Outcome, Body()]
) -> Response:
    row = await work.apply_outcome(services, form_id, outcome)
    return JSONResponse({"upload_id": row.id, "status": row.status, "generation": row.generation})


@router.post("/cleanings/claim", summary="Take doomed prefixes to delete")
async def claim_cleanings(services: Serving, body: CleaningClaim) -> CleaningOrders:
    async with services.database.write() as tx:
        return CleaningOrders(cleanings=await cleaning.claim(tx, body.limit))


@router.patch("/cleanings/{cleaning_id}", status_code=204, summary="Confirm a cleaned prefix")
async def confirm_cleaning(
    services: Serving, cleaning_id: RowId, report: CleaningReport
) -> Response:
    async with services.database.write() as tx:
        await cleaning.confirm(tx, cleaning_id, report.passes)
    return Response(status_code=204)
