"""A photo as a phone takes it: at 12 megapixels, 4 to 5 MB of JPEG."""

import io

from PIL import Image

SIZE = (4000, 3000)
OF_ONE_MEGABYTE = (1900, 1425)
GRAIN = 32
"""Of the noise; it decides the bytes."""


def take(size: tuple[int, int] = SIZE) -> bytes:
    """As a JPEG."""
    photo = io.BytesIO()
    picture(size).save(photo, "JPEG", quality=85)
    return photo.getvalue()


def picture(size: tuple[int, int]) -> Image.Image:
    """Gradients, as of walls and skies, under a sensor's noise."""
    across = Image.linear_gradient("L").resize(size)
    down = across.transpose(Image.Transpose.ROTATE_180)
    around = Image.radial_gradient("L").resize(size)
    noise = Image.effect_noise(size, GRAIN)
    bands = [Image.blend(band, noise, 0.5) for band in (across, down, around)]
    return Image.merge("RGB", bands)
