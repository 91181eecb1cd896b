"""`longshore.js` and what belongs to it, as `browser/` has it: pages of any site may load it."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parents[2] / "browser"

_MODULES = ("longshore.js", "longshore-tus.js", "longshore-contents.js")
TYPES = {
    **dict.fromkeys(_MODULES, "text/javascript; charset=utf-8"),
    "longshore.d.ts": "text/plain; charset=utf-8",  # by its ending it would be a video
}
"""What is served, and as what; the package's other files are for npm."""

CACHE = "public, max-age=300"
"""Short, since module and service belong together; after it the ETag decides."""


def browser_module() -> list[Route]:
    """One route a file."""
    files = StaticFiles(directory=FOLDER)

    async def serve(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        answer = await files.get_response(name, request.scope)
        answer.headers.update(
            {
                "Content-Type": TYPES[name],
                "Cache-Control": CACHE,
                "X-Content-Type-Options": "nosniff",
            }
        )
        return answer

    return [Route(f"/static/{name}", serve) for name in TYPES]
