"""PNG: its chunks (W3C PNG, third edition), and a copy of those whose pixels people see."""

import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from worker.formats.image import profiles
from worker.formats.image.seen import MAX_IMAGES, MAX_PIECES, Seen
from worker.formats.verdicts import corrupt, within

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = {b"IHDR", b"PLTE", b"IDAT"}
_VISIBLE = {b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"bKGD", b"sBIT", b"pHYs", b"eXIf"}
_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
_COLOURS = {b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"}
_LARGE = {b"iCCP", b"eXIf"}
_GREY = {0, 4}
"""Types of colour without any."""
_XMP = b"XML:com.adobe.xmp\0\0"
"""How a block of it begins that isn't compressed, as its standard has it."""
_LOOKED_AT = 64
"""Bytes of a chunk that say what it is for."""
_HEADER_BYTES = 13
_MAX_TEXT = 1 << 20
"""Bytes of comments that are left to the decoder, none of them compressed."""
_MAX_PROFILE = 1 << 22
"""Bytes of a compressed profile and of an EXIF block."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
    (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
"""Of Adam7: first column and row, and the steps to the next column and row."""
_PIECE = 1 << 20
_ZLIB_HEAD = 2
"""Bytes before the deflated data."""
_LARGEST_WINDOW = b"\x78\x01"
"""Such bytes that let the data repeat what is as far back as it ever may. Some programs wrote that
it is nearer than it is."""
_GAMMA_ONE = 100_000


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    """Of its data."""
    length: int
    whole: bool
    sound: bool
    """Whether its checksum is right."""


def read(content: mmap.mmap) -> Seen:
    """Raises `FileRejected`: `file-corrupt` without a sound header, `file-too-complex`."""
    look = _Look()
    for number, chunk in enumerate(_chunks(content), start=1):
        within("chunks", number, MAX_PIECES)
        look.at(chunk, content[chunk.start : chunk.start + min(chunk.length, _LOOKED_AT)])
    return look.ended()


class _Look:
    """What has been seen of the chunks so far."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._said: dict[bytes, bytes] = {}
        """What colours are, by the kind of the chunk that says it."""
        self._header = b""
        self._pixels = self._end = False
        self._text = 0

    def at(self, chunk: _Chunk, data: bytes) -> None:
        """The next chunk, and how its data begins."""
        seen, kind = self._seen, chunk.kind
        sound = chunk.sound and chunk.whole
        seen.damaged |= not sound
        if not sound and kind in {b"IHDR", b"PLTE"}:
            raise corrupt()  # nobody knows what size and colours were
        if kind == b"IHDR":
            self._header = data
        elif kind in {b"IDAT", b"IEND"}:
            self._pixels |= kind == b"IDAT"
            self._end |= kind == b"IEND"
        elif kind in _TEXT:
            self._comment(kind, chunk.length, data)
        elif kind in _LARGE:
            within("bytes", chunk.length, _MAX_PROFILE)
        elif kind == b"acTL" and not self._pixels:
            seen.images = max(1, int.from_bytes(data[:4]))
        if sound and kind in _COLOURS and not self._pixels:
            self._said.setdefault(kind, data)  # as viewers do: a second one is a mistake

    def _comment(self, kind: bytes, length: int, data: bytes) -> None:
        """Whatever it is about, it isn't the picture: somebody, or a program, wrote of it."""
        self._text += length
        is_plain = kind == b"tEXt" or data.startswith(_XMP)
        self._seen.rewrite |= not is_plain or self._text > _MAX_TEXT
        self._seen.personal = True

    def ended(self) -> Seen:
        """What came out. A file without a header or pixels is none."""
        seen = self._seen
        if len(self._header) != _HEADER_BYTES or not self._pixels:
            raise corrupt()
        within("frames", seen.images, MAX_IMAGES)
        seen.width, seen.height, _, colour = struct.unpack_from(">IIBB", self._header)
        seen.moving = seen.images > 1
        seen.damaged |= not self._end
        _colours(seen, self._said, grey=colour in _GREY)
        return seen


def _chunks(content: mmap.mmap) -> Iterator[_Chunk]:
    """Every chunk, the end included. A broken length ends them: nothing behind it can be told."""
    at, size = len(_SIGNATURE), len(content)
    while at + 8 <= size:
        length, kind = struct.unpack_from(">I4s", content, at)
        if not kind.isalpha():
            return
        start = at + 8
        whole = start + length + 4 <= size
        length = min(length, size - start)
        sound = whole and _checksum(content, at + 4, length + 4) == content[
            start + length : start + length + 4
        ]  # fmt: skip
        yield _Chunk(kind, start, length, whole, sound)
        if kind == b"IEND":
            return
        at = start + length + 4


def _checksum(content: mmap.mmap, start: int, length: int) -> bytes:
    with memoryview(content) as view:
        return struct.pack(">I", zlib.crc32(view[start : start + length]))


def _colours(seen: Seen, said: dict[bytes, bytes], *, grey: bool) -> None:
    """As browsers take them: cICP before iCCP before sRGB before gAMA and cHRM."""
    if b"cICP" in said and len(said[b"cICP"]) == 4:  # noqa: PLR2004 - the chunk's own size
        primaries, transfer, matrix, full = said[b"cICP"]
        if matrix == 0 and full == 1 and profiles.is_known(primaries, transfer):
            seen.srgb = profiles.is_srgb(primaries, transfer)
            if not seen.srgb:
                seen.profile = profiles.of_code_points(primaries, transfer, grey=grey)
            return
    if b"iCCP" in said:
        return
    if b"sRGB" in said:
        seen.srgb = True
    elif len(said.get(b"gAMA", b"")) == 4:  # noqa: PLR2004 - the chunk's own size
        (gamma,) = struct.unpack(">I", said[b"gAMA"])
        if gamma:
            points = _points(said.get(b"cHRM", b""))
            seen.profile = profiles.of_gamma(_GAMMA_ONE / gamma, points, grey=grey)


def _points(data: bytes) -> list[float] | None:
    if len(data) != struct.calcsize(">8I"):
        return None
    return [each / _GAMMA_ONE for each in struct.unpack(">8I", data)]


def rewrite(source: Path, target: Path) -> None:
    """A copy without comments, with the checksums that the chunks' data have and with an end."""
    with _mapped(source) as content, target.open("wb") as copy:
        copy.write(_SIGNATURE)
        for chunk in _chunks(content):
            if _is_kept(chunk):
                _write(copy, chunk.kind, content, chunk.start, chunk.length)
        copy.write(_packed(b"IEND", b""))


def mend_stream(source: Path, target: Path) -> None:
    """A copy whose compressed pixels end as they should, when all of them are there.

    Raises `FileRejected` with `file-corrupt` if they aren't.
    """
    with _mapped(source) as content, target.open("wb") as copy:
        copy.write(_SIGNATURE)
        chunks = list(_chunks(content))
        for chunk in chunks:
            if chunk.kind not in {b"IDAT", b"IEND"} and _is_kept(chunk):
                _write(copy, chunk.kind, content, chunk.start, chunk.length)
        checksum_counts = not all(each.sound for each in chunks if each.kind == b"IDAT")
        pieces = (
            content[at : min(at + _PIECE, each.start + each.length)]
            for each in chunks
            if each.kind == b"IDAT"
            for at in range(each.start, each.start + each.length, _PIECE)
        )
        _copy_pixels(copy, pieces, _expected(content[16:29]), checksum_counts=checksum_counts)
        copy.write(_packed(b"IEND", b""))


def _copy_pixels(
    copy: IO[bytes], pieces: Iterator[bytes], expected: int, *, checksum_counts: bool
) -> None:
    """Copy the stream as it is, with room for all that it repeats and the right checksum behind it.

    `checksum_counts`: those of the chunks don't vouch for the data, so the stream's own has to.
    """
    inflating = zlib.decompressobj(wbits=-15)
    head, adler, seen, tail = b"", 1, 0, b""
    copy.write(_packed(b"IDAT", _LARGEST_WINDOW))
    for piece in pieces:
        missing = _ZLIB_HEAD - len(head)
        head, data = head + piece[:missing], piece[missing:]
        if inflating.eof:
            tail += data[:4]
            continue
        for out in _inflated(inflating, data):
            adler, seen = zlib.adler32(out, adler), seen + len(out)
            if seen > expected + _PIECE:
                raise corrupt()
        tail = inflating.unused_data[:4]
        kept = data[: len(data) - len(inflating.unused_data)]
        copy.write(_packed(b"IDAT", kept))
    checksum = struct.pack(">I", adler)
    if seen < expected or (checksum_counts and tail[:4] != checksum):
        raise corrupt()
    if inflating.eof:
        copy.write(_packed(b"IDAT", checksum))


def _inflated(inflating: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """What comes out of it, in pieces. Raises `FileRejected` with `file-corrupt`."""
    while data and not inflating.eof:
        try:
            yield inflating.decompress(data, _PIECE)
        except zlib.error as error:
            raise corrupt() from error
        data = inflating.unconsumed_tail


def _expected(header: bytes) -> int:
    """Bytes that the pixels of an image with this header inflate to, one a row for its filter."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS.get(colour, 4)
    if not interlaced:
        return int((1 + (width * bits + 7) // 8) * height)
    total = 0
    for x, y, step_x, step_y in _PASSES:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if columns > 0 and rows > 0:
            total += (1 + (columns * bits + 7) // 8) * rows
    return total


def _is_kept(chunk: _Chunk) -> bool:
    return chunk.kind in _CRITICAL or (chunk.sound and chunk.kind in _VISIBLE)


def _write(copy: IO[bytes], kind: bytes, content: mmap.mmap, start: int, length: int) -> None:
    copy.write(struct.pack(">I", length) + kind)
    checksum = zlib.crc32(kind)
    for at in range(start, start + length, _PIECE):
        piece = content[at : min(at + _PIECE, start + length)]
        checksum = zlib.crc32(piece, checksum)
        copy.write(piece)
    copy.write(struct.pack(">I", checksum))


def _packed(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
