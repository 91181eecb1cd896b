"""Files to send: photos of several sizes, PDFs, and hostile ones; no two have the same bytes."""

import hashlib
import io
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pikepdf
from PIL import Image

SIZES = ((400, 400), (400, 400), (640, 480), (640, 480), (800, 600), (1600, 1200), (4000, 3000))
WEIGHTS = (30, 20, 20, 10, 10, 8, 2)


@dataclass(frozen=True)
class File:
    content: bytes
    name: str
    media_type: str
    unchanged: bool = False
    hostile: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class Files:
    """Makes them from `rng`; the expensive parts are made once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._photos = [_photo(size) for size in SIZES]
        self._pdfs = [_pdf(pages) for pages in (1, 2, 7)]
        self._encrypted = _pdf(1, password="secret")  # noqa: S106 - to be refused for having one
        self._png = _png()

    def photo(self) -> File:
        (base,) = self._rng.choices(self._photos, WEIGHTS)
        comment = self._unique()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        return File(base[:2] + segment + base[2:], "photo.jpg", "image/jpeg")

    def pdf(self) -> File:
        content = self._rng.choice(self._pdfs) + b"\n% " + self._unique() + b"\n"
        return File(content, "paper.pdf", "application/pdf", unchanged=True)

    def document(self) -> File:
        return self._rng.choice((self.pdf, self.pdf, self.photo))()

    def hostile(self) -> File:
        make: tuple[Callable[[], File], ...] = (
            lambda: File(b"<script>alert(1)</script>" + self._unique(), "a.pdf", "application/pdf"),
            lambda: File(self._encrypted + b"\n% " + self._unique(), "b.pdf", "application/pdf"),
            lambda: File(self._png[:-40] + self._unique(), "c.png", "image/png"),
            lambda: File(b"MZ" + self._rng.randbytes(5_000), "d.jpg", "image/jpeg"),
            lambda: File(_bomb() + self._unique(), "e.png", "image/png"),
        )
        file = self._rng.choice(make)()
        return File(file.content, file.name, file.media_type, hostile=True)

    def _unique(self) -> bytes:
        return self._rng.randbytes(12).hex().encode()


def _photo(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((500, 500), 40).save(buffer, "PNG")
    return buffer.getvalue()


def _pdf(pages: int, password: str = "") -> bytes:
    document, buffer = pikepdf.new(), io.BytesIO()
    for _ in range(pages):
        document.add_blank_page()
    locked = pikepdf.Encryption(owner=password, user=password) if password else None
    document.save(buffer, encryption=locked)
    return buffer.getvalue()


def _bomb() -> bytes:
    """A PNG whose head announces 50,000 × 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    side = (50_000).to_bytes(4, "big")
    head = side + side + bytes((8, 2, 0, 0, 0))
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
