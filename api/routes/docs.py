"""The API's description as a page, from files of our own: no CDN, and under the pages' policy; and
what each error means, where the `type` of a problem leads."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.html.render import Site, render
from api.http.public_path import public_path
from api.texts.error_guide import entries
from api.texts.errors import GUIDE

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> Response:
    return render("docs.html", site=Site(public_path(request)), cache="no-cache")


@router.get(GUIDE)
async def errors(request: Request) -> Response:
    site = Site(public_path(request))
    return render("errors.html", site=site, cache="no-cache", entries=list(entries()))
