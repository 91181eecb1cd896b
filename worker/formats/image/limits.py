"""An image held against its field's limits, before it is decoded."""

from shared.formats import FORMATS
from shared.policy import ImageLimits
from worker.errors import FileRejected
from worker.formats.image.seen import Seen
from worker.formats.job import Job, Notice, notice
from worker.formats.verdicts import within


def check_size(width: int, height: int, target: str, limits: ImageLimits) -> None:
    """`width` and `height` are of the upright image. Raises `FileRejected`: `image-too-small`,
    `image-too-large`, which a type that can't hold as many pixels in a row is a reason for too.
    """
    seen = {"width": width, "height": height}
    too_large = {
        "max_pixels": (width * height, limits.max_pixels),
        "max_width": (width, limits.max_width),
        "max_height": (height, limits.max_height),
    }
    exceeded = {
        name: limit for name, (value, limit) in too_large.items() if limit and value > limit
    }
    if not exceeded and max(width, height) > (longest := FORMATS[target].longest_side or 10**9):
        exceeded = {"max_width": longest, "max_height": longest}
    if exceeded:
        raise FileRejected("image-too-large", {**seen, **exceeded})
    too_small = {
        "min_width": (width, limits.min_width),
        "min_height": (height, limits.min_height),
        "min_pixels": (width * height, limits.min_pixels),
    }
    if any(limit and value < limit for value, limit in too_small.values()):
        missed = {name: limit for name, (_, limit) in too_small.items() if limit}
        raise FileRejected("image-too-small", {**seen, **missed})


def keeps_all(job: Job, seen: Seen) -> bool:
    """Whether all frames or pages are stored, which the target has to be able to hold.

    Raises `FileRejected`: `image-animated`, `file-too-many-pages`, `file-too-complex` (frames),
    `image-too-large` (the pixels of all together).
    """
    limits, target = job.policy.image, FORMATS[job.target]
    if seen.images == 1:
        return False
    if seen.moving:
        if limits.animation == "reject":
            raise FileRejected("image-animated", {"frames": seen.images})
        if limits.animation != "keep" or not job.format.keeps == target.keeps == "frames":
            return False
        within("frames", seen.images, limits.max_frames)
    else:
        allowed = 1 if limits.pages == "reject" else limits.max_pages
        kept = job.format.keeps == target.keeps == "pages"
        if limits.pages == "first" or (limits.pages == "all" and not kept):
            return False
        if seen.images > allowed:
            raise FileRejected("file-too-many-pages", {"pages": seen.images, "max_pages": allowed})
    if seen.images * seen.pixels > limits.max_pixels:
        size = {"width": seen.width, "height": seen.height, "images": seen.images}
        raise FileRejected("image-too-large", {**size, "max_pixels": limits.max_pixels})
    return True


def dropped(seen: Seen) -> Notice:
    """Only the first frame or page is stored."""
    return notice("animation-dropped" if seen.moving else "pages-dropped", images=seen.images)


def resolution(width: int, height: int, limits: ImageLimits) -> list[Notice]:
    """A notice where an upright image has fewer pixels than are recommended."""
    recommended = {
        "recommended_width": (width, limits.recommended_width),
        "recommended_height": (height, limits.recommended_height),
    }
    wanted = {name: limit for name, (_, limit) in recommended.items() if limit}
    if all(not limit or value >= limit for value, limit in recommended.values()):
        return []
    return [notice("low-resolution", width=width, height=height, **wanted)]
