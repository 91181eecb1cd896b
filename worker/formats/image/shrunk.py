"""A JPEG whose pixels are stored as they came: read whole, and decoded as small as it may be."""

from concurrent.futures import ThreadPoolExecutor

import pyvips

from worker.formats.blame import is_ours
from worker.formats.image.colour import is_shown_as_it_is
from worker.formats.image.held import hold, noted
from worker.formats.image.lossless import Copied
from worker.formats.job import Facts, Job, output_name

_SHRINKS = (8, 4, 2)
"""By how much it can be smaller once decoded. A decoder goes through the same bytes for it."""
_MARGIN = 2
"""By how much it stays larger than what is made of it, as libvips and Pillow have it too: nearer,
the edges of letters get harder."""


def stays(job: Job, header: pyvips.Image) -> bool:
    """Whether what is stored shows the pixels as they came, in their type, and says no more."""
    upright = not header.get_typeof("orientation") or header.get("orientation") == 1
    stored_as_sent = job.target == job.format.media_type and not job.policy.keep_metadata
    return bool(stored_as_sent and upright and is_shown_as_it_is(header))


def store(copied: Copied, job: Job, header: pyvips.Image) -> tuple[pyvips.Image, Facts] | None:
    """What the copy shows, as large as the derivatives need it, and what is known of the object.

    None where the decoder has anything to say of it, or leaves bytes behind the pixels: such a file
    is decoded as any other, and written in its place. It is written while it is decoded, as a
    decoder is busy with one thread.
    """
    path = job.scratch / output_name(job.field, job.target)
    with ThreadPoolExecutor(1) as beside:
        writing = beside.submit(copied.write, path, width=header.width, height=header.height)
        image = _decode(copied, _spare(job, header))
        facts = writing.result()
    return (image, facts) if image else None


def _decode(copied: Copied, spare: float) -> pyvips.Image | None:
    """What it shows, at most `spare` times as small. None where there is anything to say of it."""
    shrink = next((each for each in _SHRINKS if each * _MARGIN <= spare), 1)
    copied.rewind()
    noted()
    source = pyvips.SourceCustom()  # has to outlive whatever reads of it
    source.on_read(copied.read)
    try:
        image = hold(
            pyvips.Image.jpegload_source(
                source, access="sequential", fail_on="warning", shrink=shrink
            )
        )
    except pyvips.Error as error:
        if is_ours(str(error.detail)):
            raise
        return None
    return image if copied.was_read and not noted() else None


def _spare(job: Job, header: pyvips.Image) -> float:
    """How much larger the image is than what all derivatives can be made of."""
    spare = float(_SHRINKS[0] * _MARGIN)
    for wanted in job.policy.derivatives.values():
        side = (max if wanted.fit == "inside" else min)(header.width, header.height)
        spare = min(spare, side / min(side, wanted.size))
    return spare
