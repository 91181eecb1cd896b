"""Colours as they are meant to look, in sRGB."""

import pyvips


def to_srgb(image: pyvips.Image) -> pyvips.Image:
    """Eight bits a channel, through the embedded profile where it makes sense."""
    if image.get_typeof("icc-profile-data"):
        try:
            return image.icc_transform("srgb", embedded=True, black_point_compensation=True)
        except pyvips.Error:  # a profile that is damaged, or of another kind of image
            image = image.copy()
            image.remove("icc-profile-data")
    if image.interpretation == "cmyk":
        return image.icc_transform("srgb", input_profile="cmyk", black_point_compensation=True)
    return image.colourspace("b-w" if image.interpretation in ("b-w", "grey16") else "srgb")
