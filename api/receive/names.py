"""What a person called a file, out of a Content-Disposition, and safe to show."""

import base64
import binascii
import re
import unicodedata
from itertools import groupby
from urllib.parse import unquote_to_bytes

from api.receive.charsets import decoded
from api.receive.header_values import HeaderValue

MAX_FILENAME = 255
"""Bytes; a longer file name keeps its end, where the extension is."""
MAX_SEGMENTS = 100
"""Of a parameter that is sent in pieces (RFC 2231, section 3)."""
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\s]*)\?=(?:[ \t]+(?==\?))?")
_ENCODED_WORDS = re.compile(f"(?:{_ENCODED_WORD.pattern})+")
"""With nothing but space between them, which is none of the text (RFC 2047, section 6.2)."""
_SEGMENT = re.compile(r"(.*)\*(\d{1,3})(\*?)")
_PERCENT_ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+")
_BEYOND_ASCII = re.compile(r"%[89A-Fa-f]")
_LINE_END = re.compile(r"\r\n|[\t-\r\x85\u2028\u2029]")
"""Or a tab: what divides words and can't be shown."""
_JOINERS = "\u200c\u200d"
"""Format characters that belong to words and pictures: of Persian, of Indian scripts, of emoji."""
_BROWSERS_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n", "%0d": "\r", "%0a": "\n"}


def filename_in(disposition: HeaderValue) -> str | None:
    """The file name of a part or a request, cleaned; None where none is given. It may be empty.

    `filename*` (RFC 8187) counts before `filename`, if it can be read. That may hold UTF-8 as it
    is, what browsers escape (HTML, "multipart form data"), or encoded words (RFC 2047), which some
    libraries send although RFC 2047 forbids it there.
    """
    extended, plain = _extended(disposition), disposition.get("filename")
    name = (extended and clean_filename(extended)) or clean_filename(_plain(plain or b""))
    if name or plain is not None:
        return name
    # what is meant for a name makes a file of it, even where it can't be read
    sent = [value for each, value in disposition.parameters if each.startswith("filename*")]
    return clean_filename(text_of(unquote_to_bytes(sent[0].rpartition(b"'")[2]))) if sent else None


def text_of(value: bytes) -> str:
    """A parameter's text: UTF-8, else what a Western European client of old meant."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def unescaped(value: str) -> str:
    """Undo what browsers escape in names: quotes and line ends."""
    for escape, char in _BROWSERS_ESCAPES.items():
        value = value.replace(escape, char)
    return value


def clean_filename(name: str) -> str:
    """A file name that is safe to show and to send in a header; it never names a path.

    Keeps the last path segment, with any kind of space in it; a tab or a line end becomes one.
    Control characters, and characters that turn the writing direction or show nothing, are dropped,
    and what is too long loses its beginning. Dots alone name a folder, so they are no name.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    shown = "".join(map(_shown, _LINE_END.sub(" ", last))).strip()
    if not shown.strip("."):
        return ""
    encoded = shown.encode("utf-8", "ignore")[-MAX_FILENAME:]
    return encoded.decode("utf-8", "ignore")


def _shown(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    category = unicodedata.category(char)
    if category == "Zs":
        return char
    # a character that this Python's Unicode doesn't know yet is one that a newer phone does
    return char if category == "Cn" and ord(char) & 0xFFFE != 0xFFFE else ""  # noqa: PLR2004 - noncharacters


def _plain(value: bytes) -> str:
    text = text_of(value)
    if "=?" in text:
        text = _ENCODED_WORDS.sub(_decoded_words, text)
    return _unquoted(text) or unescaped(text)


def _unquoted(text: str) -> str | None:
    """The name behind one that is percent-encoded whole, as aiohttp sends it: nothing but what may
    stand in an address, with some letter beyond ASCII. `100%25.jpg` is what it says."""
    if _PERCENT_ENCODED.fullmatch(text) and _BEYOND_ASCII.search(text):
        return decoded(unquote_to_bytes(text), "utf-8")
    return None


def _decoded_words(found: re.Match[str]) -> str:
    """Of words in one charset the bytes are joined first: some libraries cut within a character."""
    text = ""
    words = _ENCODED_WORD.finditer(found[0])
    for charset, same in groupby(words, key=lambda word: word[1].partition("*")[0].lower()):
        try:
            data = b"".join(_bytes_of_word(word[2].lower(), word[3]) for word in same)
        except (binascii.Error, ValueError):
            return found[0]
        read = decoded(data, charset)
        text += data.decode("utf-8", "replace") if read is None else read
    return text


def _bytes_of_word(encoding: str, text: str) -> bytes:
    if encoding == "b":
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    return unquote_to_bytes(text.replace("%", "%25").replace("_", " ").replace("=", "%"))


def _extended(disposition: HeaderValue) -> str | None:
    """`filename*`, or the pieces of `filename*0`, `filename*1*`…; None where it can't be read."""
    whole = disposition.get("filename*")
    if whole is not None:
        return _of_ext_value(whole)
    pieces: dict[int, tuple[bytes, bool]] = {}
    for name, value in disposition.parameters:
        found = _SEGMENT.fullmatch(name) if name.startswith("filename*") else None
        if found and found[1] == "filename":
            pieces.setdefault(int(found[2]), (value, bool(found[3])))
    if 0 not in pieces or len(pieces) > MAX_SEGMENTS:
        return None
    charset, data = "utf-8", b""
    for number in range(len(pieces)):
        if number not in pieces:
            break
        value, is_encoded = pieces[number]
        if number == 0 and is_encoded:
            named, _, rest = value.partition(b"'")
            charset, value = named.decode("latin-1") or "utf-8", rest.partition(b"'")[2]
        data += unquote_to_bytes(value) if is_encoded else value
    return decoded(data, charset)


def _of_ext_value(value: bytes) -> str | None:
    """`charset'language'percent-encoded` (RFC 8187, section 3.2)."""
    charset, quote, rest = value.partition(b"'")
    if not quote:
        return None
    return decoded(unquote_to_bytes(rest.partition(b"'")[2]), charset.decode("latin-1"))
