"""What the code of a kind is given, and what it gives back."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from shared.codes import Params
from shared.formats import FORMATS, Format
from shared.policy import FilePolicy
from shared.status import Stage

THREADS = 2
"""Of libraries in one child: more children at once are worth more than more threads in each."""


class Facts(TypedDict):
    """One output, but for its name: the parent gives names, and finds the bytes by them."""

    content_type: str
    size: int
    sha256: str
    width: int | None
    height: int | None
    pages: int | None


class Notice(TypedDict):
    """An issue that doesn't reject the file. The api words it."""

    code: str
    params: Params


@dataclass(frozen=True)
class Job:
    """One file to be checked, and made into what its field stores."""

    staged: Path
    scratch: Path
    """Where outputs go, by the names of `output_name`. Nothing else can be written."""
    field: str
    policy: FilePolicy
    format: Format
    begin: Callable[[Stage], None]
    """Tells the parent what is being done now."""
    sha256: str | None = None
    """Of the staged file, where it is known."""

    @property
    def target(self) -> str:
        """The media type of the object."""
        received = self.format.media_type
        return self.policy.conversions.get(received, received)


@dataclass
class Made:
    """A file that was found good, and what was made of it."""

    object: Facts
    object_is_staged: bool
    """Whether the received bytes are the object themselves."""
    derivatives: dict[str, Facts] = field(default_factory=dict)
    original: Facts | None = None
    """The received bytes, where the policy keeps them beside another object."""
    notices: list[Notice] = field(default_factory=list)


def notice(code: str, **params: str | float) -> Notice:
    return {"code": code, "params": params}


def output_name(field: str, content_type: str, derivative: str | None = None) -> str:
    """The name of an output, in the scratch folder and at the end of its key."""
    stem = field if derivative is None else f"{field}-{derivative}"
    return stem + FORMATS[content_type].extensions[0]


def facts_of(
    path: Path,
    content_type: str,
    *,
    width: int | None = None,
    height: int | None = None,
    pages: int | None = None,
    sha256: str | None = None,
) -> Facts:
    """What is known of the finished file at `path`, which is hashed unless `sha256` is known."""
    if sha256 is None:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "content_type": content_type,
        "size": path.stat().st_size,
        "sha256": sha256,
        "width": width,
        "height": height,
        "pages": pages,
    }


def facts_of_staged(job: Job, *, pages: int | None = None) -> Facts:
    """What is known of the file as it came."""
    return facts_of(job.staged, job.format.media_type, pages=pages, sha256=job.sha256)
