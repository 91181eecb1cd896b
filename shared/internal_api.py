"""The calls of the internal listener: what a worker may ask and what it reports.

Unknown keys are ignored on both sides, so that a rolling deploy can add some.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from shared.form_definition import FilePolicy
from shared.status import Stage

Generation = Annotated[int, Field(gt=0)]
ClaimId = Annotated[str, Field(min_length=8, max_length=64)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,49}$")]
Params = dict[str, str | int | float]


class ClaimRequest(BaseModel):
    claim_id: ClaimId
    """Chosen by the worker. Repeating it returns the same order: its answer may have been lost."""


class WorkOrder(BaseModel):
    """All a worker needs to promote one upload. Times are durations, to be counted on the
    worker's own monotonic clock.
    """

    upload_id: str
    form_id: str
    field: str
    generation: Generation
    staged_path: str
    """Below the staging volume's root."""
    volume_id: str
    """What the volume's marker file must say; otherwise the mount is not the right one."""
    size: int
    sha256: Sha256
    filename: str
    declared_type: str | None
    policy: FilePolicy
    key_prefix: str
    """Ends in a slash. The only prefix this generation may write under."""
    attempt: int
    lease_seconds: float
    heartbeat_seconds: float
    work_seconds: float
    """All puts end within this many seconds of the claim."""
    request_id: str | None
    """Of the request that brought the file: logs carry it from the browser to the bucket."""


class Heartbeat(BaseModel):
    generation: Generation
    stage: Stage


class StoredObject(BaseModel):
    """One object in the bucket."""

    key: str
    content_type: str
    size: int
    sha256: Sha256
    width: int | None = None
    height: int | None = None
    pages: int | None = None


class Notice(BaseModel):
    """An issue found that does not reject the file."""

    code: Code
    detail: str


class _Outcome(BaseModel):
    upload_id: str
    generation: Generation
    detected_type: str | None = None


class Stored(_Outcome):
    outcome: Literal["stored"] = "stored"
    object: StoredObject
    derivatives: dict[str, StoredObject] = {}
    notices: list[Notice] = []


class Rejected(_Outcome):
    """The file is bad and the person must act. The api words the text from code and params."""

    outcome: Literal["rejected"] = "rejected"
    code: Code
    params: Params = {}


class Failed(_Outcome):
    """Our fault, and trying again won't help: an operator must look."""

    outcome: Literal["failed"] = "failed"
    code: Code
    params: Params = {}


class Retry(_Outcome):
    """Give the upload back, to be tried again after a backoff."""

    outcome: Literal["retry"] = "retry"
    cause: Code
    """What went wrong: `store`, `volume`, `shutdown`, `decoder`, `unexpected` …; for logs."""
    counted: bool
    """Whether it uses up an attempt. What is not the file's doing doesn't."""


Outcome = Annotated[Stored | Rejected | Failed | Retry, Field(discriminator="outcome")]


class Cleaning(BaseModel):
    """A doomed prefix: delete what is under it, abort its multiparts, confirm."""

    id: int
    prefix: str


class CleaningClaim(BaseModel):
    limit: Annotated[int, Field(gt=0, le=100)] = 20


class CleaningOrders(BaseModel):
    cleanings: list[Cleaning]


class CleaningReport(BaseModel):
    deleted: Annotated[int, Field(ge=0)]
