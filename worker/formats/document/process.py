"""A document of a word processor, stored as it came."""

from worker.formats.job import Job, Made, facts_of


def process_document(job: Job) -> Made:
    """The document, as it was received."""
    return Made(facts_of(job.staged, job.format.media_type), object_is_staged=True)
