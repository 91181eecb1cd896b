"""All that a document leads to, wherever it stands.

Viewers come to an action or a file by ways that no list has in full: bookmarks, structure, hidden
pages, streams where a dictionary is expected. So nothing is looked for in its place alone: each
object that the document leads to is looked at once.
"""

import re
from collections.abc import Iterator

import pikepdf

from worker.formats.pdf.budget import half_is_left
from worker.formats.pdf.open import Opened, check_limits
from worker.formats.verdicts import within

MAX_REACHABLE = 500_000
"""Objects. Twelve hundred pages of a standard, with the structure of all their text, have a third
of it."""
_AT_ONCE = 25_000
"""Objects that are held in memory; each takes about a kilobyte, and qpdf lets none go. Where those
of the document itself have more than half of the memory, as a stream of very many objects is read
whole, there is no room for those of another reader."""
_REFERENCE = re.compile(rb"(?<!\d)(\d{1,9} \d{1,5}) R\b")


def holders(opened: Opened, wanted: re.Pattern[bytes]) -> Iterator[pikepdf.Object]:
    """The dictionaries, those of streams too, in all objects whose text has what is `wanted`.

    Raises `FileRejected` (`file-too-complex`) where the document leads to too much.
    """
    document = opened.document
    for ref in _leading_to(opened, wanted):
        yield from _dictionaries(_get(document, ref) if ref else document.trailer)


def _leading_to(opened: Opened, wanted: re.Pattern[bytes]) -> Iterator[bytes | None]:
    """The objects with what is wanted; None is the trailer."""
    reader = opened.document
    text = _text(reader.trailer)
    if wanted.search(text):
        yield None
    seen = _references(text)
    waiting = list(seen)
    read = 0
    while waiting:
        ref = waiting.pop()
        text = _text(_get(reader, ref))
        if wanted.search(text):
            yield ref
        new = _references(text) - seen
        seen |= new
        waiting.extend(new)
        within("objects", len(seen), MAX_REACHABLE)
        read += 1
        if read % _AT_ONCE == 0:
            check_limits(reader)
            if reader is not opened.document or half_is_left():
                del reader  # before there is another
                reader = opened.again()
    check_limits(reader)


def _references(text: bytes) -> set[bytes]:
    """Also those that only look like one, in a string: they lead to what is in the file as well."""
    return set(_REFERENCE.findall(text))


def _get(document: pikepdf.Pdf, ref: bytes) -> object:
    number, generation = map(int, ref.split())
    return document.get_object((number, generation))


def _text(held: object) -> bytes:
    """As qpdf writes it: each name in one way, with all that it holds itself."""
    if not isinstance(held, pikepdf.Object):
        return b""  # a number, or nothing
    if isinstance(held, pikepdf.Stream):
        held = held.stream_dict
    return held.unparse(resolved=True)


def _dictionaries(held: object) -> Iterator[pikepdf.Object]:
    """In one object: what it refers to is another."""
    waiting: list[object] = [held]
    while waiting:
        each = waiting.pop()
        if isinstance(each, pikepdf.Array):
            inside: list[object] = [each[index] for index in range(len(each))]
        elif isinstance(each, pikepdf.Dictionary | pikepdf.Stream):
            yield each
            inside = [each.get(key) for key in list(each.keys())]
        else:
            continue
        waiting.extend(
            child
            for child in inside
            if isinstance(child, pikepdf.Array | pikepdf.Dictionary) and not child.is_indirect
        )
