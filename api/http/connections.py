"""How many connections there may be: in all, and from one address."""

from collections import Counter


class Connections:
    """0 is no limit. Behind a proxy all clients have its address."""

    def __init__(self, in_all: int = 0, per_client: int = 0) -> None:
        self._in_all = in_all
        self._per_client = per_client
        self._open: Counter[str] = Counter()

    def admit(self, client: str) -> bool:
        """Count one more, unless it is one too many."""
        if self._in_all and self._open.total() >= self._in_all:
            return False
        if self._per_client and self._open[client] >= self._per_client:
            return False
        self._open[client] += 1
        return True

    def gone(self, client: str) -> None:
        """One that was admitted is closed."""
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]
