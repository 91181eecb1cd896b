"""The API's description as a page, from files of our own: no CDN, and under the pages' policy."""

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.pages import render

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> Response:
    return render("docs.html", cache="no-cache")
