"""What is done to a copy, in memory, of a damaged document, so that qpdf can read it: it repairs
less than viewers do. The document itself is stored as it came."""

import contextlib
import mmap
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from shared.formats import PDF
from worker.formats.pdf.budget import FILTERS, INFLATED_BYTES, Objects
from worker.formats.verdicts import Budget

HEADER = b"%PDF-1.7\n"
_MARKER_WITHIN = PDF.starts_within
HIGHEST_OBJECT = 8_388_607
"""ISO 32000-1, annex C."""

_OBJECT = re.compile(rb"(?<![0-9])(\d{1,7})[\s\0]+(\d{1,5})[\s\0]+obj\b")
_NUMBERS_BYTES = 32
"""Before `obj` that are looked at."""
_ONE_AFTER_ANOTHER = re.compile(rb"endobj[ \t](?=\d{1,7}\s+\d{1,5}\s+obj\b|trailer\b)")
"""qpdf looks for objects at the starts of lines only."""
_BYTES_AN_OBJECT = 3
"""qpdf takes a number for a mistake that leaves fewer bytes than this for each object up to it."""
_REFERENCE = re.compile(rb"(?<![0-9])(\d{1,7})\s+\d{1,5}\s+R\b")
_RESOURCES = re.compile(rb"/Resources\s+(\d{1,7})\s+\d{1,5}\s+R\b")
_SHOWN = re.compile(
    rb"/(?:Contents|Resources|XObject|Font)\s+\d{1,7}\s+\d{1,5}\s+R\b"
    rb"|/Contents\s*\[[^\]]*\]"
    rb"|/(?:XObject|Font)\s*<<[^<>]*>>"
)
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PAGES = re.compile(rb"/Type\s*/Pages?(?![A-Za-z])")
_TEXT_BYTES = 100_000
"""Of one object that are looked at."""
_END = b"%%EOF"
_STOP = b"stop\n"
"""qpdf doesn't believe in an object with nothing but spaces behind it."""
_STREAM = re.compile(rb"/Type\s*/ObjStm\b")
_XREF = re.compile(rb"/Type\s*/XRef\b")
_NUMBER = {key: re.compile(rb"/" + key + rb"\s+(\d{1,9})\b") for key in (b"N", b"First")}
_ENCRYPTED = b"/Encrypt"
_DICTIONARY_BYTES = 2_000
"""Of a trailer or of what describes a stream that are looked at."""
_PIECE_BYTES = 4 << 10
"""That are packed or inflated at once."""
_CATALOG = re.compile(rb"/Type\s*/Catalog\b")
_ROOT = re.compile(rb"/Root\s+(\d{1,7})\s+\d{1,5}\s+R\b")


def mended(content: bytes, *, blindly: bool = False) -> bytes:
    """A copy that has a header, room for the numbers of its objects, no table that could be wrong
    (qpdf looks for it at the end only), and every object that lay in a stream of objects. Where
    its trailer names a root, its tables are believed, unless it is made `blindly`.

    Raises `FileRejected` (`file-too-complex`) where such streams are too large.
    """
    marker = b"" if b"%PDF-" in content[:_MARKER_WITHIN] else HEADER
    parts = [marker, _ONE_AFTER_ANOTHER.sub(b"endobj\n", content)]
    numbers = [int(found[1]) for found in _OBJECT.finditer(content)]
    packed = dict(_packed_objects(content))
    known = set(numbers)
    catalogs = [] if _says_its_root(content) else _catalogs(content)
    for number, body in packed.items():
        if number not in known:
            parts.append(b"\n%d 0 obj\n%s\nendobj\n" % (number, body))
        if _CATALOG.search(body):
            catalogs.append(number)
    if _ENCRYPTED not in content and (catalogs or blindly):
        # qpdf prefers a table that is found, to believe it or to give up on it
        parts[1] = parts[1].replace(b"startxref", b"startxxxx")
        if catalogs:
            parts[1] = parts[1].replace(b"/XRef", b"/Xxxx")
    if catalogs:
        parts.append(b"\ntrailer\n<</Root %d 0 R>>\n" % catalogs[-1])
    highest = max((n for n in (*numbers, *packed) if n <= HIGHEST_OBJECT), default=0)
    parts.append(b"\n" * max(2 * _MARKER_WITHIN, _BYTES_AN_OBJECT * (highest + 2)))
    parts.append(_STOP)
    return b"".join(parts)


def mended_blindly(content: bytes) -> bytes | None:
    """The same without a table that was believed; None where none was, or where nothing can be read
    without it."""
    if _ENCRYPTED in content or not _says_its_root(content):
        return None
    return mended(content, blindly=True)


def without_rest(content: bytes) -> bytes | None:
    """A copy that ends at its last end marker; None where nothing, or an object, stands behind it.
    qpdf looks for the table in the last kilobyte only, and can't find by itself what is encrypted
    within streams."""
    end = content.rfind(_END) + len(_END)
    if end < len(_END) or not content[end:].strip() or _OBJECT.search(content, end):
        return None
    return content[:end]


def at_its_table(content: bytes) -> bytes | None:
    """A copy that says where its last table is that is a stream and names a root; None where there
    is none, or nothing is encrypted. What is, and lies in streams, can't be found without it.

    Raises `FileRejected` (`file-too-complex`) where there are too many of them."""
    if _ENCRYPTED not in content:
        return None
    objects, start = Objects(), None
    for found in _XREF.finditer(content):
        objects.spend()
        at = content.rfind(b"obj", max(0, found.start() - _DICTIONARY_BYTES), found.start())
        begun = [*_OBJECT.finditer(content, max(0, at - _NUMBERS_BYTES), at + 3)]
        if begun and b"/Root" in content[at : found.end() + _DICTIONARY_BYTES]:
            start = begun[-1].start()
    return None if start is None else content + b"\nstartxref\n%d\n%%%%EOF\n" % start


class Texts:
    """The objects of a document as they stand in it, the last of each number."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.numbers = {int(found[1]): found.end() for found in _OBJECT.finditer(content)}

    def __contains__(self, number: int) -> bool:
        return number in self.numbers

    def shown_by(self, page: int) -> Iterator[int]:
        """The numbers of what a page draws, and of what it draws with."""
        text = self.text(page)
        resources = _RESOURCES.search(text)
        if resources is not None:
            text += self.text(int(resources[1]))
        for found in _SHOWN.finditer(text):
            yield from (int(number) for number in _REFERENCE.findall(found[0]))

    def pages(self, objects: Objects) -> Iterator[int]:
        """The numbers of all pages that there are, listed or not."""
        for number in self.numbers:
            objects.spend()
            if _PAGE.search(self.text(number)):
                yield number

    def text(self, number: int) -> bytes:
        start = self.numbers.get(number)
        if start is None:
            return b""
        end = self._content.find(b"endobj", start, start + _TEXT_BYTES)
        return self._content[start : end if end >= 0 else start + _TEXT_BYTES]


def _says_its_root(content: bytes) -> bool:
    """Whether the last trailer names a root that can be one."""
    trailer = content.rfind(b"trailer")
    said = _ROOT.search(content, trailer, trailer + _DICTIONARY_BYTES) if trailer >= 0 else None
    if not said:
        return False
    text = Texts(content).text(int(said[1]))
    return not text or b"/Pages" in text or _CATALOG.search(text) is not None


def _catalogs(content: bytes) -> list[int]:
    """The numbers of the catalogs, for a document that doesn't say which it is."""
    texts = Texts(content)
    return [number for number in texts.numbers if _CATALOG.search(texts.text(number))]


def is_cut(content: bytes) -> bool:
    """Whether the last object has no end: what it holds may be half of it.

    One that holds a table is nothing that can be missed.
    """
    end = max(content.rfind(b"endobj"), content.rfind(b"endstream"))
    last = _OBJECT.search(content, max(end, 0))
    if last is None:
        return False
    rest = content[last.end() :]
    return not any(sign in rest for sign in (b"xref", b"trailer", b"%%EOF", b"/XRef"))


def has_end(content: bytes) -> bool:
    """Whether there is an end marker, and no object after the last one."""
    end = content.rfind(_END)
    return end >= 0 and _OBJECT.search(content, end) is None


def after_its_end(path: Path) -> bytes:
    """What stands after the last end marker, if there is an object in it: a change whose end was
    cut off. What reads the table that is there sees what was before it."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = content.rfind(_END)
        return content[end:] if end >= 0 and _OBJECT.search(content, end) else b""


def has_pages(content: bytes) -> bool:
    """Whether there is anything of a page, or of the list of them."""
    return _PAGES.search(content) is not None


def _packed_objects(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and text of what lies in streams of objects, each of which is read once, while all of
    them are within a budget: what couldn't be used in the end has been spent too."""
    objects, inflated = Objects(), Budget("inflated_bytes", INFLATED_BYTES)
    known: set[int] = set()
    for found in _STREAM.finditer(content):
        objects.spend()
        at = found.start()
        start = content.rfind(b"obj", max(0, at - _DICTIONARY_BYTES), at)
        data = content.find(b"stream", at, at + _DICTIONARY_BYTES)
        if start < 0 or data < 0 or data in known:
            continue
        known.add(data)
        dictionary = content[start:data]
        numbers = {key: sought.search(dictionary) for key, sought in _NUMBER.items()}
        count, first = numbers[b"N"], numbers[b"First"]
        filters = dictionary.count(b"/FlateDecode")
        if count is None or first is None or not 0 < filters <= FILTERS:
            continue
        begin = data + len(b"stream")
        begin += 2 if content.startswith(b"\r\n", begin) else 1
        text = memoryview(content)[begin:]
        with contextlib.suppress(zlib.error):
            for _ in range(filters):
                text = memoryview(_inflated(text, inflated))
            yield from _split(bytes(text), int(count[1]), int(first[1]))


def _inflated(packed: memoryview, budget: Budget) -> bytes:
    """Fed piece by piece: what is behind the end would be copied. A piece that turns out to be
    damaged has been inflated all the same, and is paid for."""
    inflater = zlib.decompressobj()
    pieces = []
    for start in range(0, len(packed), _PIECE_BYTES):
        waiting = bytes(packed[start : start + _PIECE_BYTES])
        while waiting and not inflater.eof:
            try:
                piece = inflater.decompress(waiting, _PIECE_BYTES)
            except zlib.error:
                budget.spend(_PIECE_BYTES)
                raise
            budget.spend(len(piece))
            pieces.append(piece)
            waiting = inflater.unconsumed_tail
        if inflater.eof:
            break
    return b"".join(pieces)


def _split(inflated: bytes, count: int, first: int) -> Iterator[tuple[int, bytes]]:
    heads = inflated[:first].split()[: 2 * count]
    if not all(head.isdigit() for head in heads):
        return
    numbers, offsets = heads[::2], [first + int(offset) for offset in heads[1::2]]
    for number, start, end in zip(numbers, offsets, [*offsets[1:], len(inflated)], strict=False):
        if int(number) <= HIGHEST_OBJECT:
            yield int(number), inflated[start:end]
