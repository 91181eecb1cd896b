"""A PDF, stored as it came, or without what its field wants taken out."""

import warnings
from pathlib import Path

from shared.status import Stage
from worker.errors import FileRejected
from worker.formats.job import (
    Facts,
    Job,
    Made,
    Notice,
    facts_of,
    facts_of_staged,
    notice,
    output_name,
)
from worker.formats.pdf.budget import Objects
from worker.formats.pdf.findings import is_signed, look_into, settle
from worker.formats.pdf.mend import mended
from worker.formats.pdf.open import NeedsPassword, Opened, check_limits, open_pdf, reading
from worker.formats.refusals import Refusals


def process_pdf(job: Job) -> Made:
    """The document, once it was found whole and within its limits. Raises `FileRejected`."""
    limits = job.policy.pdf
    objects = Objects()
    try:
        with reading(job.staged):
            opened = open_pdf(job.staged, limits, objects)
            refusals = Refusals(job.policy.flag)
            if opened.restricted and limits.owner_password == "reject":  # noqa: S105 - a rule
                refusals.add(FileRejected("file-encrypted", {"restricts": "printing or editing"}))
            concerns = look_into(opened, limits, objects)
            check_limits(opened.document)
            found, stripped = settle(concerns, refusals, can_strip=_can_be_rewritten(opened))
            refusals.settle()
            made = _rewritten(job, opened) if stripped else _as_received(job, opened)
    except NeedsPassword as error:
        if not limits.encrypted:
            raise FileRejected("file-encrypted") from error
        facts = facts_of_staged(job)
        return Made(facts, object_is_staged=True, notices=[notice("pages-not-checked")])
    made.notices = [*_notices(job, opened), *found]
    _add_derivatives(job, opened, made)
    return made


def _notices(job: Job, opened: Opened) -> list[Notice]:
    limits, pages = job.policy.pdf, len(opened.pages.found)
    notices = []
    if opened.restricted and limits.owner_password == "notice":  # noqa: S105 - a rule
        notices.append(notice("owner-password"))
    if opened.repaired:
        notices.append(notice("repaired"))
    if limits.recommended_pages and pages > limits.recommended_pages:
        recommended = limits.recommended_pages
        notices.append(notice("many-pages", pages=pages, recommended_pages=recommended))
    return notices


def _as_received(job: Job, opened: Opened) -> Made:
    pages = len(opened.pages.found)
    return Made(facts_of_staged(job, pages=pages), object_is_staged=True)


# --- without what is to be taken out


def _can_be_rewritten(opened: Opened) -> bool:
    """A signature would be broken; what had to be mended to be read isn't the document itself."""
    return isinstance(opened.source, Path) and not is_signed(opened.document)


def _rewritten(job: Job, opened: Opened) -> Made:
    """What the owner's password restricts stays restricted."""
    job.begin(Stage.CONVERTING)
    path = job.scratch / output_name(job.field, job.format.media_type)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pikepdf's, about forms that were damaged before
        opened.document.save(path, encryption=opened.document.is_encrypted)
    return Made(
        _facts_of_rewritten(path, job, opened),
        object_is_staged=False,
        original=facts_of_staged(job) if job.policy.keep_original else None,
    )


def _facts_of_rewritten(path: Path, job: Job, opened: Opened) -> Facts:
    again = open_pdf(path, job.policy.pdf, Objects())
    pages = len(again.pages.found)
    if again.repaired or pages != len(opened.pages.found):
        raise FileRejected("file-corrupt")
    return facts_of(path, job.format.media_type, pages=pages)


# --- pictures of the first page


def _add_derivatives(job: Job, opened: Opened, made: Made) -> None:
    wanted = job.policy.derivatives
    if not wanted:
        return
    from worker.formats.image.write import write_derivatives  # noqa: PLC0415 - for few fields
    from worker.formats.pdf.preview import render_first_page  # noqa: PLC0415 - see above

    job.begin(Stage.CONVERTING)
    picture = render_first_page(opened.source, wanted.values())
    if picture is None and opened.repaired and isinstance(opened.source, Path):
        # pdfium needs more mending than qpdf does
        picture = render_first_page(mended(opened.source.read_bytes()), wanted.values())
    if picture is None:
        made.notices.append(notice("no-preview"))
        return
    made.derivatives = write_derivatives(picture, job.scratch, job.field, wanted)
