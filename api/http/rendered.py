"""Answers as they were sent, for clients that poll: nothing has changed, mostly."""

from collections import OrderedDict
from collections.abc import Hashable

MOST_BYTES = 2 * 1024 * 1024
"""Of all together; what they were made of takes up as much again or twice that."""
LARGEST = 64 * 1024
"""Bytes of one answer; what is larger costs more to send than to make."""


class Rendered:
    """JSON by the name of what it shows, each with what it was made of. The longest unused goes
    first."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._kept: OrderedDict[Hashable, tuple[object, bytes]] = OrderedDict()

    def get(self, name: Hashable, made_of: object) -> bytes | None:
        """What was made of the same before, if it is still here."""
        kept = self._kept.get(name)
        if kept is None or kept[0] != made_of:
            return None
        self._kept.move_to_end(name)
        return kept[1]

    def keep(self, name: Hashable, made_of: object, body: bytes) -> None:
        """In place of what was kept by that name."""
        self._forget(self._kept.pop(name, None))
        if len(body) > LARGEST:
            return
        self._kept[name] = (made_of, body)
        self._bytes += len(body)
        while self._bytes > self._most:
            self._forget(self._kept.popitem(last=False)[1])

    def _forget(self, kept: tuple[object, bytes] | None) -> None:
        if kept:
            self._bytes -= len(kept[1])
