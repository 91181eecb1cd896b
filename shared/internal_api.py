"""The calls of the internal listener: what a worker may ask and what it reports.

Unknown keys are ignored on both sides, so that a rolling deploy can add some.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shared.keys import MAX_KEY
from shared.policy import FilePolicy, Name
from shared.status import Stage, StoreState, UploadStatus, Verdict


def _is_text(value: str) -> str:
    """Lone surrogates are no text: nobody could read a record that holds one."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("is not text") from error
    return value


def _is_number(value: object) -> object:
    """JSON's numbers alone: pydantic would take `true` for 1, and a string of digits too."""
    if isinstance(value, bool | str):
        raise ValueError("is not a number")  # noqa: TRY004 - pydantic makes an error of this one
    return value


def _which_is_said(schema: dict[str, Any]) -> None:
    """The kind of an outcome is never left out, though the worker's classes have it by default."""
    schema["required"] = [*schema.get("required", []), "outcome"]


Count = Annotated[int, Field(ge=0, lt=2**30), BeforeValidator(_is_number)]
Count64 = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_is_number)]
Positive = Annotated[int, Field(gt=0, lt=2**31), BeforeValidator(_is_number)]
Generation = Positive
UploadId = Annotated[str, Field(pattern=r"^upl_[a-z2-7]{26}$")]
Text = Annotated[str, Field(max_length=500), AfterValidator(_is_text)]
Key = Annotated[str, Field(max_length=MAX_KEY), AfterValidator(_is_text)]
MediaType = Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=100)]
ClaimId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{8,64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,49}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Params = Annotated[dict[Text, Text | int | Number], Field(max_length=20)]


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
    from_key: str | None = None
    """Where in the bucket the bytes are, for an upload that reuses a stored one: then there are
    none at `staged_path`. None of an older api."""
    volume_id: str
    """What the volume's marker file must say; otherwise the mount is not the right one."""
    size: int
    sha256: Sha256
    policy: FilePolicy
    key_prefix: str
    """Ends in a slash. The only prefix this generation may write under."""
    flagged_prefix: str | None = None
    """But for a file that is kept and flagged: that goes here. None of an api that knows no flags,
    or where the field keeps nothing."""
    filename: str | None = None
    """As the person called it, for whoever reads the bucket alone. None of an older api."""
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

    key: Key
    content_type: MediaType
    size: Annotated[int, Field(gt=0, lt=2**53), BeforeValidator(_is_number)]
    sha256: Sha256
    width: Positive | None = None
    height: Positive | None = None
    pages: Count | None = None


class Notice(BaseModel):
    """An issue found that does not reject the file. The api words the text from code and params."""

    code: Code
    params: Params = {}


class Flag(BaseModel):
    """A finding for which the file would be rejected, did its field not keep and flag it."""

    code: Code
    params: Params = {}


class Scan(BaseModel):
    """What the virus scanner said of the received bytes, and by which signatures."""

    verdict: Verdict
    signature: Text | None = None
    """The name of what it found, in its own words."""
    engine: Text | None = None
    """`ClamAV 1.4.6`."""
    database: Text | None = None
    """The number of its signatures: `27123`; None where it says none."""


class _Outcome(BaseModel):
    model_config = ConfigDict(json_schema_extra=_which_is_said)

    upload_id: UploadId
    generation: Generation
    detected_type: MediaType | None = None


class Stored(_Outcome):
    outcome: Literal["stored"] = "stored"
    object: StoredObject
    derivatives: dict[Name, StoredObject] = {}
    notices: Annotated[list[Notice], Field(max_length=20)] = []
    flags: Annotated[list[Flag], Field(max_length=20)] = []
    """If there are any, the object is the received bytes, under the order's `flagged_prefix`."""
    scan: Scan | None = None
    """None where there is no scanner."""


class Rejected(_Outcome):
    """The file is bad and the person must act. The api words the text from code and params."""

    outcome: Literal["rejected"] = "rejected"
    code: Code
    params: Params = {}
    scan: Scan | None = None
    """None where there is no scanner, or it wasn't asked any more."""


class Failed(_Outcome):
    """Our fault, and trying again won't help: an operator must look."""

    outcome: Literal["failed"] = "failed"
    code: Code
    params: Params = {}


class Retry(_Outcome):
    """Give the upload back, to be tried again after a backoff."""

    outcome: Literal["retry"] = "retry"
    cause: Code
    """What went wrong: one of `Cause`, or what another version has for one."""
    counted: bool
    """Whether it uses up an attempt. What is not the file's doing doesn't."""


Outcome = Annotated[Stored | Rejected | Failed | Retry, Field(discriminator="outcome")]


class Applied(BaseModel):
    """What became of an outcome."""

    upload_id: str
    status: UploadStatus
    generation: int
    """The one that the upload is at."""


class Limits(BaseModel):
    """What the form types of this api let in."""

    largest_scanned_bytes: Count64
    """The most bytes that a file may have whose field is scanned; 0 without such a field."""


class WorkerReport(BaseModel):
    """How a worker is, every few seconds and as soon as the state of the store changes."""

    store: StoreState
    store_for_seconds: Annotated[Number, Field(ge=0, lt=1e9), BeforeValidator(_is_number)]
    """How long so: of the worker's own clock."""
    waiting: Count
    """Uploads that it has checked and that aren't stored yet."""


class OfficeNeeds(BaseModel):
    """What can't be done without LibreOffice, by the form definitions."""

    fields: list[Text]
    """Those that are converted with it and store nothing where it is missing, each as
    `form_type.field`."""


class Cleaning(BaseModel):
    """A doomed prefix: delete what is under it, abort its multiparts, confirm."""

    id: int
    prefix: str
    passes: int
    """How often it was cleaned already; the confirmation says so again."""


class CleaningClaim(BaseModel):
    limit: Annotated[int, Field(gt=0, le=100), BeforeValidator(_is_number)] = 20


class CleaningOrders(BaseModel):
    cleanings: list[Cleaning]


class CleaningReport(BaseModel):
    passes: Count
    """As the order had it: repeating a confirmation counts once."""
