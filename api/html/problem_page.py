"""An error as a page: what happened, in a person's words, and the way on."""

from starlette.responses import HTMLResponse

from api.html.addresses import START, THANK_YOU
from api.html.render import Site, render
from api.texts.errors import Problem

_WORDS = {
    "unauthorized": (
        "We can't find your form",
        "It may have been sent already, or this browser has lost the way to it. Start again.",
    ),
    "not-found": ("Page not found", "There is nothing at this address, or it is gone."),
    "form-submitted": (
        "This form was sent already",
        "We have it, and it can't be changed any more.",
    ),
    "request-too-large": (
        "That was too much to send at once",
        "Nothing of it was saved. Go back, and send fewer or smaller files at a time.",
    ),
    "request-timeout": (
        "Sending took too long",
        "The connection brought nothing for a while, and nothing was saved. Go back and try again.",
    ),
    "malformed-multipart": (
        "The form did not arrive whole",
        "Nothing of it was saved. Go back and try again.",
    ),
    "form-full": (
        "Your form holds as much as it may",
        "Nothing of this was saved. Go back, remove files you no longer need, and try again.",
    ),
    "too-many-forms": (
        "Too many forms were begun from your network",
        "Try again in an hour. A form that you began already is still there.",
    ),
    "storage-full": (
        "There is no room for your files right now",
        "Nothing was saved. Try again in a few minutes.",
    ),
    "unavailable": (
        "Sorry, there is a problem with the service",
        "Nothing was saved. Try again in a few minutes.",
    ),
    "internal-error": (
        "Sorry, there is a problem with the service",
        "Try again in a few minutes.",
    ),
}
"""Heading and text by code; a problem without words of its own shows its title and detail."""


_WAYS = {"form-submitted": (THANK_YOU, "See what became of it")}
"""The address that helps, and what its link says, by code; else it is the form's."""


def problem_page(problem: Problem, request_id: str, root: str) -> HTMLResponse:
    """A problem as a page, for a person without a script. It shows the request's id, and where
    to go from here."""
    heading, text = _WORDS.get(problem.code, (problem.title, problem.detail))
    way_on, way_on_text = _WAYS.get(problem.code, (START, "Go to the form"))
    return render(
        "problem.html",
        site=Site(root),
        status=problem.status,
        heading=heading,
        text=text,
        details=[str(each["detail"]) for each in problem.errors if "detail" in each],
        code=problem.code,
        request_id=request_id,
        way_on=way_on,
        way_on_text=way_on_text,
    )
