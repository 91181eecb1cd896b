"""Which text encodings a client may name, and what they are called (WHATWG Encoding, section 4.2).

Python knows more codecs than are encodings of text, and some that take quadratic time; only those
that browsers know are let through.
"""

import codecs

_KNOWN = frozenset(
    {
        *("utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be"),
        *(f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
        *(f"cp{page}" for page in (866, 874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)),
        *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic"),
        *("gbk", "gb2312", "gb18030", "big5", "euc_jp", "shift_jis", "iso2022_jp", "euc_kr"),
    }
)
MAX_NAME = 40


def codec(name: str) -> str | None:
    """The codec that a charset's name means; None for one that isn't known."""
    if len(name) > MAX_NAME or not name.isascii():
        return None
    try:
        found = codecs.lookup(name.strip())
    except (LookupError, ValueError):
        return None
    return found.name if found.name in _KNOWN else None


def decoded(data: bytes, charset: str) -> str | None:
    """The text that `data` is in this charset; None for a charset or bytes that can't be read."""
    known = codec(charset)
    try:
        return None if known is None else data.decode(known)
    except UnicodeDecodeError:
        return None
