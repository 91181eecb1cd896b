"""An image and its derivatives."""

from shared.formats import NAMES
from shared.status import Stage
from worker.formats.image.load import open_image
from worker.formats.image.write import write_derivatives, write_object
from worker.formats.job import Job, Made, Notice, facts_of_staged, notice


def process_image(job: Job) -> Made:
    """The image in the type its field stores, and the smaller ones beside it."""
    policy = job.policy
    opened = open_image(job)
    job.begin(Stage.CONVERTING)
    return Made(
        write_object(
            opened, job.scratch, job.field, job.target, keep_metadata=policy.keep_metadata
        ),
        object_is_staged=False,
        derivatives=write_derivatives(
            opened.first, job.scratch, job.field, policy.derivatives, size=opened.size
        ),
        original=facts_of_staged(job) if policy.keep_original else None,
        notices=[*opened.notices, *_converted(job)],
    )


def _converted(job: Job) -> list[Notice]:
    received, made = job.format.media_type, job.target
    if received == made:
        return []
    names = {"from_name": NAMES[received], "to_name": NAMES[made]}
    return [notice("converted", **{"from": received, "to": made}, **names)]
