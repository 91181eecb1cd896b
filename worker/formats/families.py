"""Lead a file to what handles its kind."""

from collections.abc import Callable

from shared.formats import FORMATS, Kind
from worker.errors import FileRejected
from worker.formats.job import Job, Made


def check_accepted(detected: str | None, accepted: tuple[str, ...]) -> None:
    """Raise `FileRejected` unless the field accepts what the bytes are; names and declared types
    decide nothing."""
    if detected is None or detected not in accepted or detected not in FORMATS:
        raise FileRejected("file-invalid-type", {"detected_type": detected} if detected else {})


def process(job: Job) -> Made:
    """Check the file and make what its field stores. Raises `FileRejected`."""
    return _room_of(job.format.kind)(job)


def _room_of(kind: Kind) -> Callable[[Job], Made]:
    """A file waits for one kind only: each loads libraries of its own."""
    if kind == "pdf":
        from worker.formats.pdf.process import process_pdf  # noqa: PLC0415 - see above

        return process_pdf
    if kind == "image":
        from worker.formats.image.process import process_image  # noqa: PLC0415 - see above

        return process_image
    from worker.formats.document.process import process_document  # noqa: PLC0415 - see above

    return process_document
