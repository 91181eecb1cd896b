"""The whole description of a listener, finished: shared parts, and nothing that isn't true."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.openapi.errors import ProblemDetails

_BEARER = {"type": "http", "scheme": "bearer"}
_SCHEMES: dict[str, dict[str, Any]] = {
    "form_token": {
        **_BEARER,
        "description": "Of the answer that created the form; opens this form and its uploads.",
    },
    "service_key": {**_BEARER, "description": "The secret of one of API_KEYS; opens any form."},
    "internal_secret": {**_BEARER, "description": "One of INTERNAL_SECRETS."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "longshore_form",
        "description": "Of our own pages, and only where they ask (Origin, Sec-Fetch-Site). "
        "Below a path such as `/apply` its name is `longshore_form_apply`.",
    },
}
_REF = "#/components/schemas/{model}"


def install(app: FastAPI, description: str) -> None:
    """Serve the finished document as the app's `/openapi.json`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _finished(app, description)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to change it


def _finished(app: FastAPI, description: str) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        description=description,
        routes=app.routes,
        servers=app.servers or None,
    )
    operations = [each for path in document["paths"].values() for each in path.values()]
    for each in operations:
        each["responses"] = dict(sorted(each["responses"].items()))
        invalid = each["responses"].get("422", {}).get("content", {}).get("application/json", {})
        if "HTTPValidationError" in str(invalid.get("schema")):
            del each["responses"]["422"]  # FastAPI's own, which nothing here answers with
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, ours = models_json_schema([(ProblemDetails, "serialization")], ref_template=_REF)
    schemas.update(ours["$defs"])
    used = {name for each in operations for one in each.get("security", []) for name in one}
    components["securitySchemes"] = {name: _SCHEMES[name] for name in sorted(used)}
    return document
