"""An image and its derivatives."""

from concurrent.futures import ThreadPoolExecutor

from shared.formats import NAMES
from shared.status import Stage
from worker.formats.image.load import Opened, open_image
from worker.formats.image.write import write_derivatives, write_object
from worker.formats.job import Facts, Job, Made, Notice, facts_of_staged, notice


def process_image(job: Job) -> Made:
    """The image in the type its field stores, and the smaller ones beside it."""
    policy = job.policy
    opened = open_image(job)
    job.begin(Stage.CONVERTING)
    stored, derivatives = _written(opened, job)
    return Made(
        stored,
        object_is_staged=False,
        derivatives=derivatives,
        original=facts_of_staged(job) if policy.keep_original else None,
        notices=[*opened.notices, *_converted(job)],
    )


def _written(opened: Opened, job: Job) -> tuple[Facts, dict[str, Facts]]:
    def stored() -> Facts:
        keep = job.policy.keep_metadata
        return write_object(opened, job.scratch, job.field, job.target, keep_metadata=keep)

    def smaller() -> dict[str, Facts]:
        wanted = job.policy.derivatives
        return write_derivatives(opened.first, job.scratch, job.field, wanted, size=opened.size)

    if not opened.copied:  # an encoder needs memory of its own
        return stored(), smaller()
    with ThreadPoolExecutor(1) as beside:
        copying = beside.submit(stored)
        derivatives = smaller()
        return copying.result(), derivatives


def _converted(job: Job) -> list[Notice]:
    received, made = job.format.media_type, job.target
    if received == made:
        return []
    names = {"from_name": NAMES[received], "to_name": NAMES[made]}
    return [notice("converted", **{"from": received, "to": made}, **names)]
