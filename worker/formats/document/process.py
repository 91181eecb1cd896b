"""A document of a word processor, found whole, and what its field says of what is in it.

The PDF of it is made elsewhere: a decoder may start nothing.
"""

from shared.formats import DOC, DOCX, ODT, PDF, RTF
from worker.errors import FileRejected
from worker.formats.document.archives import look_into_archive
from worker.formats.document.findings import BrokenDocumentError, Findings
from worker.formats.document.rtf import look_into_rtf
from worker.formats.document.word_binary import look_into_doc
from worker.formats.job import Job, Made, Notice, facts_of_staged, notice
from worker.formats.refusals import Refusals
from worker.formats.verdicts import within

MAX_PARAGRAPHS = 100_000
"""Those in tables too. Two thousand pages have some sixty thousand."""
MAX_CELLS = 15_000
"""Of all tables. Eighteen thousand take forty seconds, in one table more."""
MAX_TABLE_DEPTH = 20
"""Tables in tables: mail programs and web pages have ten, people three."""


def process_document(job: Job) -> Made:
    """The document, as it was received.

    Raises `FileRejected`: `file-corrupt`, `file-encrypted`, `file-has-macros`, `file-too-complex`.
    """
    try:
        found = _look_into(job)
    except BrokenDocumentError as error:
        raise FileRejected("file-corrupt") from error
    limits = job.policy.document
    _check(job, found)
    notices: list[Notice] = []
    if found.encrypted:
        notices.append(notice("pages-not-checked"))
        if job.target == PDF.media_type:
            notices.append(notice("not-converted"))
    if found.macros and limits.macros != "allow":
        notices.append(notice("has-macros"))
    return Made(facts_of_staged(job), object_is_staged=True, notices=notices)


def _check(job: Job, found: Findings) -> None:
    """Raises `FileRejected` for what the field refuses."""
    limits = job.policy.document
    refusals = Refusals(job.policy.flag)
    if found.encrypted and not limits.encrypted:
        refusals.add(FileRejected("file-encrypted"))
    if found.macros and limits.macros == "reject":
        refusals.add(FileRejected("file-has-macros"))
    refusals.settle()
    if job.target == PDF.media_type:
        _check_layout(found)


def _check_layout(found: Findings) -> None:
    """What takes LibreOffice longer to lay out than any honest document does."""
    within("paragraphs", found.paragraphs, MAX_PARAGRAPHS)
    within("cells", found.cells, MAX_CELLS)
    within("table_depth", found.table_depth, MAX_TABLE_DEPTH)


def _look_into(job: Job) -> Findings:
    if job.format in (DOCX, ODT):
        return look_into_archive(job.staged, job.format)
    if job.format is RTF:
        return look_into_rtf(job.staged)
    assert job.format is DOC  # noqa: S101 - the last of the kind
    return look_into_doc(job.staged)
