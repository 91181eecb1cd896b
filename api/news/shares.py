"""How many may keep a request open for news at a time: all together, and each client."""

from collections import Counter


class Shares:
    """Counts those who wait and those who follow; 0 is no limit."""

    def __init__(self, in_all: int = 0, per_client: int = 0) -> None:
        self._in_all = in_all
        self._per_client = per_client
        self._of_client: Counter[str] = Counter()

    def all_taken(self) -> bool:
        """Whether nobody else may enter."""
        return bool(self._in_all) and self._of_client.total() >= self._in_all

    def has_its_share(self, client: str) -> bool:
        """Whether this client has as many as one may."""
        return bool(self._per_client) and self._of_client[client] >= self._per_client

    def enter(self, client: str) -> None:
        """Count one of the client's, until `leave`."""
        self._of_client[client] += 1

    def leave(self, client: str) -> None:
        """One of the client's that did `enter` is gone."""
        self._of_client[client] -= 1
        if not self._of_client[client]:
            del self._of_client[client]
