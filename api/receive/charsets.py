"""Which text encodings a client may name, and what they are called (WHATWG Encoding, section 4.2).

Python knows more codecs than are encodings of text, and some that take quadratic time; only those
that browsers know are let through.
"""

import codecs
from encodings.aliases import aliases

_KNOWN = frozenset(
    {
        *("utf_8", "utf_16_le", "utf_16_be", "cp1252", "cp1254", "cp874"),
        *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
        *(f"cp{page}" for page in (866, 1250, 1251, 1253, 1255, 1256, 1257, 1258)),
        *("koi8_r", "koi8_u", "mac_roman", "mac_cyrillic"),
        *("gb18030", "big5hkscs", "euc_jp", "cp932", "iso2022_jp", "cp949"),
    }
)
_WIDER = {
    "latin_1": "cp1252",
    "ascii": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf_16": "utf_16_le",
}
"""By Python's name, the encoding that browsers use for one with a narrower name."""
_LABELS = {
    "unicode_1_1_utf_8": "utf_8",
    "iso_8859_8_i": "iso8859_8",
    "logical": "iso8859_8",
    "dos_874": "cp874",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_mac_ukrainian": "mac_cyrillic",
    "x_mac_roman": "mac_roman",
    "x_sjis": "cp932",
    "windows_31j": "cp932",
    "x_euc_jp": "euc_jp",
    "x_gbk": "gb18030",
    "x_x_big5": "big5hkscs",
    "cn_big5": "big5hkscs",
    "windows_949": "cp949",
    **{f"windows_{page}": f"cp{page}" for page in (874, *range(1250, 1259))},
    **{f"x_cp{page}": f"cp{page}" for page in range(1250, 1259)},
}
"""Labels that Python doesn't know."""


def _by_label() -> dict[str, str]:
    """Looked up here alone: Python's own look-up remembers every name that it was asked for."""
    python = {name: name for name in (*aliases.values(), *_KNOWN, *_WIDER)} | aliases
    wider = {label: _WIDER.get(name, name) for label, name in python.items()} | _LABELS
    return {label: name for label, name in wider.items() if name in _KNOWN}


_BY_LABEL = _by_label()
MAX_NAME = 40


def codec(name: str) -> str | None:
    """The codec that a charset's name means; None for one that isn't known."""
    if len(name) > MAX_NAME:
        return None
    return _BY_LABEL.get(name.strip().lower().replace("-", "_").replace(" ", "_"))


_MARKS = {
    codecs.BOM_UTF8: "utf_8",
    codecs.BOM_UTF16_LE: "utf_16_le",
    codecs.BOM_UTF16_BE: "utf_16_be",
}
"""What a text of Unicode may begin with: it says which encoding this is, and is no part of it."""


def decoded(data: bytes, charset: str) -> str | None:
    """The text that `data` is in this charset; None for a charset or bytes that can't be read."""
    known = codec(charset)
    if known is None:
        return None
    if known.startswith("utf"):
        mark = next((each for each in _MARKS if data.startswith(each)), b"")
        data, known = data[len(mark) :], _MARKS.get(mark, known)
    try:
        return data.decode(known)
    except UnicodeDecodeError:
        return None
