"""`/v1/form-types`: what is acceptable, for browsers to check before they send."""

import hashlib
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api.deps import Serving, base_url
from api.errors import Problem
from api.http.preferences import matches

router = APIRouter(prefix="/v1/form-types", tags=["form types"])


@router.get("", summary="The form types there are")
async def list_form_types(request: Request, services: Serving) -> Response:
    base = base_url(request, services)
    return _cacheable(
        request,
        {
            "form_types": [
                {"type": each.type, "title": each.title, "url": f"{base}/v1/form-types/{each.type}"}
                for each in services.form_types.values()
            ]
        },
    )


@router.get("/{form_type}", summary="One form type with its sections, fields and policies")
async def read_form_type(request: Request, services: Serving, form_type: str) -> Response:
    found = services.form_types.get(form_type)
    if found is None:
        raise Problem("not-found")
    return _cacheable(request, found.model_dump(mode="json", exclude_none=True))


def _cacheable(request: Request, content: dict[str, Any]) -> Response:
    answer = JSONResponse(content)
    etag = f'"{hashlib.sha256(answer.body).hexdigest()[:20]}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=60"}
    if matches(request, etag):
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return answer
