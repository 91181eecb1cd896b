"""Which text encodings a client may name, and what they are called (WHATWG Encoding, section 4.2).

Python knows more codecs than are encodings of text, and some that take quadratic time; only those
that browsers know are let through.
"""

from encodings.aliases import aliases

_KNOWN = frozenset(
    {
        *("utf_8", "ascii", "utf_16", "utf_16_le", "utf_16_be", "latin_1"),
        *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
        *(f"cp{page}" for page in (866, 874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)),
        *("koi8_r", "koi8_u", "mac_roman", "mac_cyrillic"),
        *("gbk", "gb2312", "gb18030", "big5", "euc_jp", "shift_jis", "iso2022_jp", "euc_kr"),
    }
)
_BY_LABEL = {name: name for name in _KNOWN} | {
    label: name for label, name in aliases.items() if name in _KNOWN
}
"""Looked up here alone: Python's own look-up remembers every name that it was ever asked for."""
MAX_NAME = 40


def codec(name: str) -> str | None:
    """The codec that a charset's name means; None for one that isn't known."""
    if len(name) > MAX_NAME:
        return None
    return _BY_LABEL.get(name.strip().lower().replace("-", "_").replace(" ", "_"))


def decoded(data: bytes, charset: str) -> str | None:
    """The text that `data` is in this charset; None for a charset or bytes that can't be read."""
    known = codec(charset)
    try:
        return None if known is None else data.decode(known)
    except UnicodeDecodeError:
        return None
