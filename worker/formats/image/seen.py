"""What the bytes of an image say of it before anything is decoded, and what they may ask for.

Each format has a reader here (`jpeg.py`, `png.py` and so on) that walks over its structure with
little memory and returns a `Seen`. A budget that is exceeded rejects the file at once: decoding it
would take more time or memory than any honest file needs.
"""

from dataclasses import dataclass, field

from worker.formats.image.lossless import Copied

MAX_IMAGES = 10_000
"""Frames or pages in one file, whether they are kept or not: libraries list them all first."""
MAX_PIECES = 200_000
"""Chunks, blocks or segments."""
MAX_WORK = 2_000_000_000
"""Pixels that are gone over in all passes together: 20 scans of 100 megapixels."""
MAX_DECODED = 1_000_000_000
"""Bytes of the samples of one image as they are stored, where all of them are kept before they are
shown: 100 megapixels of four colours in sixteen bits are fewer, and a child may write some more."""
MAX_SCANS = 100
"""Of a progressive JPEG, however small. Programs write about ten."""


@dataclass(slots=True)
class Seen:
    """`width` and `height` are as stored, before any turning; 0 where only a decoder knows."""

    width: int = 0
    height: int = 0
    images: int = 1
    """Frames or pages that people would see."""
    pages: list[int] = field(default_factory=lambda: [0])
    """Of a format with pages, which of them are no thumbnails."""
    opaque: dict[int, int] = field(default_factory=dict)
    """Of pages with further channels that aren't transparency, how many have colours."""
    moving: bool = False
    """Whether they are frames of an animation."""
    scans: int = 1
    """Passes over all pixels that decoding takes."""
    personal: bool = False
    """Whether there is something about the camera, the place or the person."""
    profile: bytes | None = None
    """An ICC profile made of what the format itself says of its colours."""
    srgb: bool = False
    """Whether the format itself says that it is in sRGB, whatever profile is embedded."""
    ycbcr: bool = False
    """Whether its samples are luma and chroma, which the decoder takes for red, green and blue."""
    premultiplied: bool = False
    """Whether its colours come out of the decoder as dark as they are transparent."""
    halved: bool = False
    """Whether four pixels share one colour, as in most JPEGs: only how bright they are differs."""
    exact: bool = False
    """Whether its decoder says it as an error, and not as a warning, when pixels are missing."""
    damaged: bool = False
    """Whether a mended copy has to be decoded, and the person told."""
    rewrite: bool = False
    """Whether a copy without what nobody sees has to be decoded."""
    copied: Copied | None = None
    """Parts of it that show the same pixels, and say nothing else."""

    @property
    def pixels(self) -> int:
        return self.width * self.height
