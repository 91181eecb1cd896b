"""`/v1/form-types`: what is acceptable, for browsers to check before they send."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from api.http.preferences import matches
from api.openapi import examples
from api.openapi.headers import IF_NONE_MATCH
from api.openapi.operation import NOT_MODIFIED, answer, operation
from api.routes.deps import Serving, base_url
from api.texts.errors import Problem
from api.views.form_types import FormTypeView, form_type_view

router = APIRouter(prefix="/v1/form-types", tags=["form types"])


class FormTypeLink(BaseModel):
    type: str
    title: str
    url: str


class FormTypeList(BaseModel):
    form_types: list[FormTypeLink]


def _described(model: type[BaseModel], example: Any, *errors: str) -> dict[str, Any]:
    headers = ("ETag", "Cache-Control")
    return operation(
        answers={200: answer("It", model, example=example, always=headers), 304: NOT_MODIFIED},
        errors=errors,
        takes=(IF_NONE_MATCH,),
    )


@router.get("", summary="The form types there are", **_described(FormTypeList, examples.FORM_TYPES))
async def list_form_types(request: Request, services: Serving) -> Response:
    base = base_url(request, services)
    links = [
        FormTypeLink(type=each.type, title=each.title, url=f"{base}/v1/form-types/{each.type}")
        for each in services.form_types.values()
    ]
    return _cacheable(request, FormTypeList(form_types=links).model_dump(mode="json"))


@router.get(
    "/{form_type}",
    summary="One form type with its sections, fields and policies",
    **_described(FormTypeView, examples.FORM_TYPE, "not-found"),
)
async def read_form_type(
    request: Request,
    services: Serving,
    form_type: Annotated[
        str, Path(description="its name", openapi_examples=examples.prefilled("therapist_signup"))
    ],
) -> Response:
    found = services.form_types.get(form_type)
    if found is None:
        types = ", ".join(services.form_types)
        raise Problem(
            "not-found",
            f"There is no form type {form_type[:50]!r}. There is {types}.",
            params={"types": types},
        )
    view = form_type_view(found)
    return _cacheable(request, view.model_dump(mode="json", exclude_none=True))


def _cacheable(request: Request, content: dict[str, Any]) -> Response:
    answer = JSONResponse(content)
    etag = f'"{hashlib.sha256(answer.body).hexdigest()[:20]}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=60"}
    if matches(request, etag):
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return answer
