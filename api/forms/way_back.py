"""Where a person is sent who posts from a page of another site: back to it.

The application's back end names the addresses when it creates the form, on origins that a setting
lists. So nobody else can make this service send people anywhere.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_plus

from api.forms.posts import Outcome
from api.records.rows import FormRow
from api.services import Services
from api.settings.web_origin import origin_of
from api.texts.errors import Problem, wrong_member

OURS = ("code", "field", "errors")
"""What the query of `error_redirect` is told."""


def check_redirect(services: Services, name: str, value: Any) -> str | None:
    """An address that a back end gives. Raises `Problem` invalid-request unless its origin is one
    of `REDIRECT_ORIGINS`."""
    if value is None:
        return None
    try:
        origin = origin_of(value if isinstance(value, str) else "")
    except ValueError as error:
        raise wrong_member(name, str(error)) from error
    if origin not in services.settings.redirect_origins:
        raise wrong_member(name, f"must be on an origin of REDIRECT_ORIGINS, which {origin} is not")
    return str(value)


@dataclass(slots=True)
class WayBack:
    """Of one post."""

    success: str
    error: str
    is_open: bool
    """Whether the sender has shown that the form is theirs: nobody else is sent anywhere."""

    @classmethod
    def of(cls, form: FormRow, *, is_open: bool) -> "WayBack | None":
        """None for a form of our own pages. One address is for both where there is one."""
        success = form.success_redirect or form.error_redirect
        error = form.error_redirect or form.success_redirect
        return cls(success, error, is_open) if success and error else None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Have a `Problem` that is raised here lead back, once the way is open."""
        try:
            yield
        except Problem as problem:
            if self.is_open:
                problem.see_other = _told(self.error, problem.code, _fields_of(problem))
            raise

    def after(self, outcome: Outcome) -> str:
        """Where a post leads that was taken: what was sent is saved, and may be wrong."""
        if outcome.refused:
            return _told(self.error, outcome.refused.code, _fields_of(outcome.refused))
        if outcome.wrong and not outcome.submit:
            fields = [each["field"] for each in outcome.wrong]
            return _told(self.error, outcome.wrong[0]["code"], fields)
        return self.success


def _fields_of(problem: Problem) -> list[str]:
    """Those that it is about, one for each thing that is wrong."""
    if problem.code == "unknown-field":  # the name is the sender's, and may be anything: a token
        return []
    named = [str(each.get("field") or each["pointer"]).strip("/") for each in problem.errors]
    return named or ([problem.field] if problem.field else [])


def _told(address: str, code: str, fields: Sequence[str]) -> str:
    """The address with `code`, the first `field`, and where there are several how many `errors`.
    What its own query has under these names makes way; the rest stays as it is written."""
    base, _, query = address.partition("?")
    kept = [
        pair
        for pair in query.split("&")
        if pair and unquote_plus(pair.partition("=")[0]) not in OURS
    ]
    told = {"code": code}
    if fields:
        told["field"] = fields[0]
    if len(fields) > 1:
        told["errors"] = str(len(fields))
    pairs = [f"{name}={quote(value, safe='')}" for name, value in told.items()]
    return f"{base}?{'&'.join([*kept, *pairs])}"
