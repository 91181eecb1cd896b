"""A document of a word processor, found whole, and what its field says of what is in it.

The PDF of it is made elsewhere: a decoder may start nothing.
"""

from shared.formats import DOC, DOCX, ODT, PDF, RTF
from worker.errors import FileRejected
from worker.formats.document.archives import look_into_archive
from worker.formats.document.findings import BrokenDocumentError, Findings
from worker.formats.document.rtf import look_into_rtf
from worker.formats.document.word_binary import look_into_doc
from worker.formats.job import Job, Made, Notice, facts_of, notice


def process_document(job: Job) -> Made:
    """The document, as it was received.

    Raises `FileRejected`: `file-corrupt`, `file-encrypted`, `file-has-macros`, `file-too-complex`.
    """
    try:
        found = _look_into(job)
    except BrokenDocumentError as error:
        raise FileRejected("file-corrupt") from error
    limits = job.policy.document
    notices: list[Notice] = []
    if found.encrypted:
        if not limits.encrypted:
            raise FileRejected("file-encrypted")
        notices.append(notice("pages-not-checked"))
        if job.target == PDF.media_type:
            notices.append(notice("not-converted"))
    if found.macros:
        if limits.macros == "reject":
            raise FileRejected("file-has-macros")
        if limits.macros != "allow":
            notices.append(notice("has-macros"))
    return Made(facts_of(job.staged, job.format.media_type), object_is_staged=True, notices=notices)


def _look_into(job: Job) -> Findings:
    if job.format in (DOCX, ODT):
        return look_into_archive(job.staged, job.format)
    if job.format is RTF:
        return look_into_rtf(job.staged)
    assert job.format is DOC  # noqa: S101 - the last of the kind
    return look_into_doc(job.staged)
