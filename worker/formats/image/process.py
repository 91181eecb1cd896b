"""An image and its derivatives."""

from shared.status import Stage
from worker.formats.image.colour import to_srgb
from worker.formats.image.load import open_image
from worker.formats.image.write import write_derivatives, write_object
from worker.formats.job import Job, Made, facts_of


def process_image(job: Job) -> Made:
    """The image in the type its field stores, and the smaller ones beside it."""
    policy = job.policy
    image, notices = open_image(job.staged, job.format, job.target, policy.image)
    job.begin(Stage.CONVERTING)
    image = to_srgb(image)
    return Made(
        write_object(image, job.scratch, job.field, job.target, keep_metadata=policy.keep_metadata),
        object_is_staged=False,
        derivatives=write_derivatives(image, job.scratch, job.field, policy.derivatives),
        original=facts_of(job.staged, job.format.media_type) if policy.keep_original else None,
        notices=notices,
    )
