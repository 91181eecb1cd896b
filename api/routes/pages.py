"""The pages: the demo form at `/`, the API docs at `/docs`."""

from fastapi import APIRouter
from starlette.responses import Response

from api.deps import Serving
from api.errors import Problem
from api.pages.pages import render

router = APIRouter(include_in_schema=False)

DEMO = "therapist_signup"


@router.get("/")
async def demo(services: Serving) -> Response:
    """The signup as a page. Reading it creates nothing."""
    form_type = services.form_types.get(DEMO)
    if form_type is None:
        raise Problem("not-found")
    return render("demo.html", form_type=form_type)


@router.get("/docs")
async def docs() -> Response:
    return render("docs.html")
