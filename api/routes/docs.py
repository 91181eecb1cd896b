"""The API's description as a page, from files of our own: no CDN, and under the pages' policy."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.http.public_path import public_path
from api.pages.pages import Site, render

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> Response:
    return render("docs.html", site=Site(public_path(request)), cache="no-cache")
