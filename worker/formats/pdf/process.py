"""A PDF, stored as it came."""

from worker.formats.job import Job, Made, facts_of
from worker.formats.pdf.check import check_pdf


def process_pdf(job: Job) -> Made:
    """The document, once it was found whole and within its limits."""
    pages, notices = check_pdf(job.staged, job.policy.pdf)
    return Made(
        facts_of(job.staged, job.format.media_type, pages=pages),
        object_is_staged=True,
        notices=notices,
    )
