"""Header values of the form `value; name=value; name="value"` (RFC 9110, section 5.6.6; RFC 2183).

Read in one pass, whatever they hold: the time is linear in the length.
"""

import re
from typing import NamedTuple

MAX_PARAMETERS = 120
_TOKEN = re.compile(rb"[ \t\r\n;]*([^=;\s]*)[ \t\r\n]*")
_UNQUOTED = re.compile(rb"[ \t\r\n]*([^;]*)")
_QUOTED = re.compile(rb'[ \t\r\n]*"((?:[^"\\]|\\.|\\\Z)*)"?', re.DOTALL)
_ESCAPED = re.compile(rb'\\(["\\])')


class HeaderValue(NamedTuple):
    """A header such as `form-data; name="file"`, taken apart."""

    value: str
    """What stands before the first semicolon, in lower case."""
    parameters: list[tuple[str, bytes]]
    """Names in lower case, in their order; one may stand twice."""

    def get(self, name: str) -> bytes | None:
        """The first of that name."""
        return next((value for each, value in self.parameters if each == name), None)


def parse(header: bytes) -> HeaderValue:
    """Never raises: what can't be read is left out, and what comes after `MAX_PARAMETERS`.

    In quotes a backslash escapes a quote or a backslash and is itself otherwise, as old browsers
    send whole paths. A quote that is never closed goes to the end.
    """
    value, _, _ = header.partition(b";")
    parameters: list[tuple[str, bytes]] = []
    position = len(value) + 1
    for _ in range(MAX_PARAMETERS):
        if position >= len(header):
            break
        name = _TOKEN.match(header, position)
        if name is None:  # it matches nothing at least
            break
        position = name.end()
        if header[position : position + 1] != b"=":
            position = _end(header, position)
            continue
        found = _QUOTED.match(header, position + 1)
        if found:
            content = _ESCAPED.sub(rb"\1", found[1])
        else:
            found = _UNQUOTED.match(header, position + 1)
            content = found[1].strip() if found else b""
        position = _end(header, found.end() if found else len(header))
        parameters.append((name[1].decode("latin-1").lower(), content))
    return HeaderValue(value.strip().decode("latin-1").lower(), parameters)


def _end(header: bytes, position: int) -> int:
    """Behind the next semicolon."""
    semicolon = header.find(b";", position)
    return len(header) if semicolon < 0 else semicolon + 1
