"""What the sandbox and its child say to each other: JSON, one request in, a few lines out."""

from typing import Any, Literal, TypedDict

from shared.codes import Params
from worker.formats.job import Facts, Notice


class Verdict(TypedDict):
    code: str
    params: Params


class Request(TypedDict):
    staged: str
    scratch: str
    sha256: str | None
    """Of the staged file, where it is known."""
    field: str
    policy: dict[str, Any]
    """A `shared.policy.FilePolicy`."""
    cpu_seconds: int
    verdict: Verdict | None
    """What was found before. Then only the type is found out: nothing of such a file is decoded."""


class StageBegins(TypedDict):
    stage: str


class Accepted(TypedDict):
    result: Literal["accepted"]
    detected_type: str
    object: Facts
    object_is_staged: bool
    derivatives: dict[str, Facts]
    original: Facts | None
    notices: list[Notice]
    confinement: list[str]


class Rejected(TypedDict):
    result: Literal["rejected"]
    code: str
    params: Params
    detected_type: str | None
