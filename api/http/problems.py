"""Errors as answers: RFC 9457 problem details, in one place for both listeners."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route

from api.html.problem_page import problem_page
from api.http.preferences import prefers_html, wants_json
from api.http.public_path import public_path
from api.http.tus import status_for
from api.receive.body import ClientGone
from api.texts.errors import ERRORS, GUIDE, Problem

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"
_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 401: "unauthorized"}


def install(app: FastAPI, routes: Sequence[BaseRoute], refused: Callable[[str], None]) -> None:
    """Answer every error of the app, and tell `refused` its code; `routes` are those that `Allow`
    is made of."""
    app.state.routes = routes
    app.state.refused = refused
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientGone, _gone)
    app.add_exception_handler(Exception, _unhandled)


def answer(request: Request, problem: Problem) -> Response:
    """The problem as the way back to another site, as a page for a person, or as JSON:
    `application/problem+json`, or plain for who asked for plain."""
    if problem.see_other and (prefers_html(request) or not wants_json(request)):
        headers = {"Cache-Control": "no-store"}
        return RedirectResponse(problem.see_other, status_code=303, headers=headers)
    request_id = str(request.scope.get("request_id", ""))
    problem.status = status_for(request.scope, problem.status)  # so that its body says the same
    if prefers_html(request):
        page = problem_page(problem, request_id, public_path(request))
        page.headers.update(_headers(problem))
        return page
    accepted = request.headers.get("accept", "")
    plain = "application/json" in accepted and PROBLEM_JSON not in accepted
    body = details(problem, request_id, public_path(request))
    if plain:
        body["error"] = problem.detail  # where Dropzone looks for the text
    return JSONResponse(
        body,
        status_code=problem.status,
        headers={"Cache-Control": "no-store", **_headers(problem)},
        media_type="application/json" if plain else PROBLEM_JSON,
    )


def _headers(problem: Problem) -> dict[str, str]:
    if problem.retry_after is None:
        return problem.headers
    return {"Retry-After": str(problem.retry_after), **problem.headers}


def _counted(request: Request, problem: Problem) -> Response:
    request.app.state.refused(problem.code)
    return answer(request, problem)


def details(problem: Problem, request_id: str, root: str) -> dict[str, object]:
    """The members of a problem (RFC 9457) and our own; `root` is the public path."""
    members: dict[str, object] = {
        "type": f"{root}{GUIDE}#{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "retryable": problem.retryable,
        **problem.extra,
    }
    if problem.field:
        members["field"] = problem.field
    if problem.params:
        members["params"] = problem.params
    if problem.errors:
        members["errors"] = problem.errors
    if problem.status >= 500:  # noqa: PLR2004 - our side: name the request in the logs
        members["request_id"] = request_id
    return members


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it
    if error.status >= 500:  # noqa: PLR2004 - our side
        cause = repr(error.__cause__) if error.__cause__ else error.detail
        log.error("request_failed", code=error.code, cause=cause)
    return _counted(request, error)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    code = _BY_STATUS.get(error.status_code, "bad-request")
    status = error.status_code if code == "bad-request" else ERRORS[code].status
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
    return _counted(request, Problem(code, status=status, headers=headers))


def _allowed(request: Request) -> str:
    """All methods of this address (RFC 9110, section 10.2.1): several routes may share it."""
    methods: set[str] = set()
    for route in request.app.state.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    errors = [
        {
            "pointer": "/" + "/".join(str(part) for part in each["loc"][1:]),
            "code": "invalid-value",
            "detail": each["msg"],
        }
        for each in error.errors()[:20]
    ]
    return _counted(request, Problem("invalid-request", errors=errors))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _unhandled(request: Request, error: Exception) -> Response:
    log.error("unhandled_error", error=type(error).__name__, path=request.url.path)
    return _counted(request, Problem("internal-error"))
