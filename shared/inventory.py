"""What the records say must be there: the api lists it, the worker looks for it.

A line of JSON each. The last one tells how many there were, so that a list that was cut short is
never taken for a whole one.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter


class KeptFile(BaseModel):
    """A received file on the staging volume."""

    kind: Literal["file"] = "file"
    upload_id: str
    path: str
    """Relative to the volume's root."""
    size: int
    sha256: str | None
    """None where the body went over its limit, and was not read to its end."""


class KeptObject(BaseModel):
    """An object in the bucket."""

    kind: Literal["object"] = "object"
    upload_id: str
    key: str
    size: int
    sha256: str


class End(BaseModel):
    kind: Literal["end"] = "end"
    volume_id: str
    """What the volume's marker has to say."""
    count: int
    """Files and objects listed."""


Kept = KeptFile | KeptObject
line: TypeAdapter[Kept | End] = TypeAdapter(Annotated[Kept | End, Field(discriminator="kind")])
