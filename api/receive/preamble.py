"""What stands before the first delimiter of a multipart body is to be ignored, and so is space
behind it (RFC 2046, section 5.1.1). The parser wants the body to begin with the delimiter."""

import re

from api.texts.errors import Problem

MAX_PADDING = 1000
_SPACES = re.compile(rb"[ \t]*")


class Preamble:
    """Keeps the preamble from the parser, however the chunks cut it."""

    def __init__(self, boundary: bytes) -> None:
        self._line = b"\r\n--" + boundary
        self._seen = b"\r\n"  # as if a line ended before the body
        self.over = False

    def rest_of(self, chunk: bytes) -> bytes:
        """What of this chunk, and of a delimiter begun before it, the parser is to see: nothing as
        long as the preamble isn't over. Raises `Problem` malformed-multipart."""
        seen = self._seen + chunk
        end = 0
        while (found := seen.find(self._line, end)) >= 0:
            end = found + len(self._line)
            spaces = _SPACES.match(seen, end)
            after = spaces.end() if spaces else end
            if after - end > MAX_PADDING:
                raise Problem("malformed-multipart", "There is too much space behind a boundary.")
            follows = seen[after : after + 1]
            if not follows:
                self._seen = seen[found:]
                return b""
            if follows == b"\r" or (follows == b"-" and after == end):
                self.over = True
                return self._line[2:] + seen[after:]
        self._seen = seen[1 - len(self._line) :]
        return b""
