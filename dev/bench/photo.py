"""A photo as a phone takes it: 12 megapixels, 4 to 5 MB of JPEG."""

import io

from PIL import Image

SIZE = (4000, 3000)
GRAIN = 32
"""Of the noise; it decides the bytes."""


def take() -> bytes:
    """Gradients, as of walls and skies, under a sensor's noise."""
    across = Image.linear_gradient("L").resize(SIZE)
    down = across.transpose(Image.Transpose.ROTATE_180)
    around = Image.radial_gradient("L").resize(SIZE)
    noise = Image.effect_noise(SIZE, GRAIN)
    bands = [Image.blend(band, noise, 0.5) for band in (across, down, around)]
    photo = io.BytesIO()
    Image.merge("RGB", bands).save(photo, "JPEG", quality=85)
    return photo.getvalue()
