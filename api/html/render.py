"""Pages, rendered on the server."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import fastapi_offline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from api.texts.sizes import size

_HERE = Path(__file__).parent
_SWAGGER_UI = Path(fastapi_offline.__file__).parent / "static"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{pictures};"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""`blob:` is for pictures of files that were chosen and not sent yet."""


@dataclass(frozen=True, slots=True)
class Site:
    """How a browser reaches us, and what we show it."""

    root: str = ""
    """The public path: addresses in a page are put after it."""
    pictures: str = ""
    """The origin that our links to stored pictures lead to."""


def _moment(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["filesize"] = size
_templates.filters["moment"] = _moment


def render(
    template: str, *, site: Site, status: int = 200, cache: str = "no-store", **context: object
) -> HTMLResponse:
    """A page; not stored anywhere unless `cache` allows it, since most show a person's answers."""
    pictures = f" {site.pictures}" if site.pictures else ""
    return HTMLResponse(
        _templates.get_template(template).render(context, root=site.root),
        status_code=status,
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY.format(pictures=pictures),
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
