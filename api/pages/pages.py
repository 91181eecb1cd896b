"""Pages, rendered on the server."""

from pathlib import Path

import fastapi_offline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from api.receive.files import size

_HERE = Path(__file__).parent
_SWAGGER_UI = Path(fastapi_offline.__file__).parent / "static"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["filesize"] = size


def render(
    template: str, *, root: str, status: int = 200, cache: str = "no-store", **context: object
) -> HTMLResponse:
    """A page; not stored anywhere unless `cache` allows it, since most show a person's answers.

    Addresses in it are put after `root`, the public path."""
    return HTMLResponse(
        _templates.get_template(template).render(context, root=root),
        status_code=status,
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": cache,
        },
    )


def static_files() -> list[Mount]:
    """Our own scripts and styles, and those of the API docs."""
    return [
        Mount("/static/swagger-ui", StaticFiles(directory=_SWAGGER_UI)),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
    ]
