"""The internal listener: the worker's only way to the record."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request
from starlette.responses import JSONResponse, Response

from api.openapi import examples
from api.openapi.operation import INTERNAL_SECRET, answer, operation
from api.records import cleaning, workers
from api.routes.deps import FormId, Serving, UploadId, internal_caller, services_in
from api.uploads import outcomes, work
from shared.internal_api import (
    Applied,
    ClaimRequest,
    CleaningClaim,
    CleaningOrders,
    CleaningReport,
    Heartbeat,
    Limits,
    OfficeNeeds,
    Outcome,
    WorkerReport,
    WorkOrder,
)

RowId = Annotated[int, Path(gt=0, lt=2**63)]
WorkerId = Annotated[
    str,
    Path(
        description="a worker's own name, new at each start",
        examples=["wrk_3hq7ktwkd5m2u6vyp4xzfbnsce"],
        pattern=r"^wrk_[a-z2-7]{26}$",
    ),
]

# What is called for each upload takes its services from the request: to be given them is another
# tree of dependencies for FastAPI to go through.
router = APIRouter(prefix="/internal", tags=["worker"], dependencies=[Depends(internal_caller)])


def _described(success: dict[str, Any], *errors: str, status: int = 200) -> dict[str, Any]:
    return operation(
        answers={status: success},
        errors=("request-too-large", "invalid-request", *errors),
        may=(INTERNAL_SECRET,),
    )


@router.post(
    "/uploads/{upload_id}/claim",
    summary="Take an upload for the length of a lease",
    **_described(
        answer("The work order", WorkOrder, example=examples.ORDER),
        *("not-found", "upload-held", "upload-not-due", "upload-final"),
    ),
)
async def claim(request: Request, upload_id: UploadId, body: ClaimRequest) -> Response:
    services, is_gone = services_in(request), request.is_disconnected
    order = await work.claim(services, upload_id, body.claim_id, is_gone=is_gone)
    # Not validated a second time, as what is returned would be.
    return Response(order.model_dump_json(), media_type="application/json")


@router.post(
    "/uploads/{upload_id}/heartbeat",
    status_code=204,
    summary="Renew the lease",
    **_described(answer("Renewed"), "not-found", "stale-generation", status=204),
)
async def heartbeat(request: Request, upload_id: UploadId, body: Heartbeat) -> Response:
    await work.heartbeat(services_in(request), upload_id, body.generation, body.stage)
    return Response(status_code=204)


@router.patch(
    "/forms/{form_id}",
    summary="Report the outcome of an upload",
    **_described(
        answer("Applied, now or earlier", Applied, example=examples.APPLIED),
        *("not-found", "stale-generation"),
    ),
)
async def apply_outcome(
    request: Request,
    form_id: FormId,
    outcome: Annotated[Outcome, Body(examples=[examples.OUTCOME_STORED])],
) -> Response:
    row = await outcomes.apply(services_in(request), form_id, outcome)
    applied = Applied(upload_id=row.id, status=row.status, generation=row.generation)
    return JSONResponse(applied.model_dump(mode="json"))


@router.post(
    "/cleanings/claim",
    summary="Take doomed prefixes to delete",
    **_described(
        answer("Which", CleaningOrders, example=examples.CLEANINGS),
    ),
)
async def claim_cleanings(services: Serving, body: CleaningClaim) -> CleaningOrders:
    return CleaningOrders(cleanings=await services.database.write(cleaning.claim, body.limit))


@router.patch(
    "/cleanings/{cleaning_id:int}",
    status_code=204,
    summary="Confirm a cleaned prefix",
    **_described(answer("Noted"), "not-found", status=204),
)
async def confirm_cleaning(
    services: Serving, cleaning_id: RowId, report: CleaningReport
) -> Response:
    await services.database.write(cleaning.confirm, cleaning_id, report.passes)
    return Response(status_code=204)


@router.get(
    "/limits",
    summary="What the forms let in",
    **operation(
        answers={200: answer("The limits", Limits, example={"largest_scanned_bytes": 20971520})},
        errors=(),
        may=(INTERNAL_SECRET,),
    ),
)
async def limits(services: Serving) -> Limits:
    """A worker holds its scanner's limits against these, before a file meets them."""
    scanned = [
        field.max_bytes
        for form_type in services.form_types.values()
        for field in form_type.file_fields.values()
        if field.scan
    ]
    return Limits(largest_scanned_bytes=max(scanned, default=0))


@router.get(
    "/office-needs",
    summary="Ask which fields need LibreOffice",
    **operation(
        answers={200: answer("Which", OfficeNeeds, example=examples.OFFICE_NEEDS)},
        errors=(),
        may=(INTERNAL_SECRET,),
    ),
)
async def office_needs(services: Serving) -> OfficeNeeds:
    """Asked by a worker that has none, as it starts."""
    return OfficeNeeds(
        fields=[
            f"{form_type.type}.{name}"
            for form_type in services.form_types.values()
            for name, field in form_type.file_fields.items()
            if field.needs_office and field.document.without_converter == "refuse"
        ]
    )


@router.put(
    "/workers/{worker_id}",
    status_code=204,
    summary="Say how a worker is",
    **_described(answer("Noted"), status=204),
)
async def note_worker(services: Serving, worker_id: WorkerId, body: WorkerReport) -> Response:
    """Shown to operators; nothing follows from it. A worker that is silent for 20 s is none."""
    await services.database.note(workers.heard, worker_id, body)
    return Response(status_code=204)
