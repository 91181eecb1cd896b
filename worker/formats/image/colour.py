"""Colours as they are meant to look: in sRGB, with eight bits a channel."""

from typing import Any

import pyvips

from worker.formats.image import profiles
from worker.formats.image.seen import Seen

_PROFILE = "icc-profile-data"
_GREY = 2
"""Bands up to which an image has no colours: grey, and grey with alpha."""
_MOST = 5
"""Bands that mean something: four inks, and alpha."""
_LAB = {"lab", "labs", "labq"}
"""Under D50, as profiles and image editors have it; libvips' own conversion takes D65 for it."""
_ABSOLUTE = {"scrgb", *_LAB}
"""Spaces whose numbers are colours, whatever profile is beside them."""
_FROM_YCBCR = [[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]]
"""Red, green and blue of luma and chroma with offsets taken off (ITU-R BT.601, all 256 steps)."""
_DEEPEST = 65_535
"""White in sixteen bits."""
_WHOLE = {"char": 8, "uint": 32, "int": 31}
"""Bits of a sample in numbers that libvips takes for measurements."""


def to_srgb(image: pyvips.Image, seen: Seen) -> pyvips.Image:
    """Grey stays grey. What the format says (`seen`) comes before an embedded profile, and one
    that makes no sense is ignored, as viewers do.
    """
    if seen.ycbcr and image.bands == 3:  # noqa: PLR2004 - luma and two colours
        image = _from_ycbcr(image)
    image = _displayable(image)
    if seen.profile or seen.srgb:
        image = image.copy()
        image.remove(_PROFILE)
    if seen.profile:
        set_blob(image, _PROFILE, seen.profile)
    return _drop_profile(_eight_bits(_through_profile(image)))


def is_shown_as_it_is(image: pyvips.Image) -> bool:
    """Whether it is grey without a profile, or in sRGB: of a format that says nothing else."""
    if not image.get_typeof(_PROFILE):
        return image.interpretation in {"b-w", "srgb"}
    return image.interpretation == "srgb" and profiles.says_srgb(_blob(image, _PROFILE))


def _through_profile(image: pyvips.Image) -> pyvips.Image:
    if image.interpretation in _LAB:
        return image.colourspace("lab").icc_export(output_profile="srgb")
    if image.interpretation in _ABSOLUTE:
        return image
    if image.get_typeof(_PROFILE) and not profiles.says_srgb(_blob(image, _PROFILE)):
        try:
            shown = image.icc_transform("srgb", embedded=True, black_point_compensation=True)
        except pyvips.Error:  # a profile that is damaged, or of another kind of image
            pass
        else:
            return _as_grey(shown) if _is_grey(image) else shown
    if image.interpretation == "cmyk":
        image = _drop_profile(image)
        return image.icc_transform("srgb", input_profile="cmyk", black_point_compensation=True)
    return image


def _eight_bits(image: pyvips.Image) -> pyvips.Image:
    image = image.colourspace("b-w" if _is_grey(image) else "srgb")
    return image if image.format == "uchar" else image.cast("uchar")


def _is_grey(image: pyvips.Image) -> bool:
    return bool(image.interpretation in {"b-w", "grey16"})


def _as_grey(image: pyvips.Image) -> pyvips.Image:
    """The same in one band, of an image in sRGB whose three are alike."""
    shown = image[0].bandjoin(image[image.bands - 1]) if image.hasalpha() else image[0]
    deep = image.format == "ushort"
    return shown.copy(interpretation="grey16" if deep else "b-w")


def _displayable(image: pyvips.Image) -> pyvips.Image:
    """In a colour space that means something: measurements are stretched to what can be seen."""
    if image.bands > _MOST:  # further channels are a printer's, or a program's own
        image = image.extract_band(0, n=_MOST)
    space = image.interpretation
    if space == "scrgb" and image.get_typeof(_PROFILE):  # numbers of the profile's, not of light
        return (image * _DEEPEST).cast("ushort").copy(interpretation="rgb16")
    if space in _ABSOLUTE:
        return image
    if _fills_its_bits(image) and space not in {"lab", "labs"}:
        image = (image / (1 << (_WHOLE[str(image.format)] - 8))).cast("uchar")
    elif image.format in {"float", "double", "short", "int", "uint"}:
        lowest, highest = _bounds(image)
        image = ((image - lowest) * (255 / max(highest - lowest, 1e-9))).cast("uchar")
    if space == "multiband":
        bands = image.bands
        image = image[0] if bands < 3 else image.extract_band(0, n=3)  # noqa: PLR2004 - less is grey
        deep = image.format == "ushort"
        names = ("grey16", "rgb16") if deep else ("b-w", "srgb")
        image = image.copy(interpretation=names[image.bands > _GREY])
    return image


def _fills_its_bits(image: pyvips.Image) -> bool:
    """Whether white is the largest number that a sample can be. Instruments write small numbers
    into large ones, of which all would be black."""
    bits = _WHOLE.get(str(image.format), 0)
    return bits == 8 or (bits > 0 and float(image.max()) >= 1 << (bits - 8))  # type: ignore[arg-type] # noqa: PLR2004 # no tuple


def _bounds(image: pyvips.Image) -> tuple[float, float]:
    """What is black and what is white: 0 and 1 where nothing goes beyond, or what there is."""
    lowest, highest = float(image.min()), float(image.max())  # type: ignore[arg-type] # no tuples
    return (0, 1) if lowest >= 0 and highest <= 1 else (lowest, highest)


def _from_ycbcr(image: pyvips.Image) -> pyvips.Image:
    matrix = pyvips.Image.new_from_array(_FROM_YCBCR)
    shown = (image - [0, 128, 128]).recomb(matrix).cast("uchar")
    return shown.copy(interpretation="srgb")


def set_blob(image: pyvips.Image, name: str, data: bytes) -> None:
    """Put a block of metadata beside an image of one's own."""
    image.set_type(pyvips.GValue.blob_type, name, data)  # type: ignore[arg-type] # takes bytes


def _blob(image: pyvips.Image, name: str) -> bytes:
    found: Any = image.get(name)
    return bytes(found)


def _drop_profile(image: pyvips.Image) -> pyvips.Image:
    if not image.get_typeof(_PROFILE):
        return image
    image = image.copy()
    image.remove(_PROFILE)
    return image
