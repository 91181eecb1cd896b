"""The verdicts that every kind of file can get, in one shape."""

from worker.errors import FileRejected


def corrupt() -> FileRejected:
    return FileRejected("file-corrupt")


def too_complex(what: str, allowed: int, found: int | None = None) -> FileRejected:
    """The verdict on a file that goes over a budget; `what` names it, in the plural. `found` is
    left out where nobody counts on once the budget is spent."""
    limit = {f"max_{what}": allowed}
    return FileRejected("file-too-complex", limit if found is None else {what: found, **limit})


def within(what: str, found: int, allowed: int) -> None:
    """Raise `FileRejected` with `file-too-complex` if more was found than is allowed."""
    if found > allowed:
        raise too_complex(what, allowed, found)


class Budget:
    """What may be spent on one file, whoever spends it."""

    def __init__(self, what: str, allowed: int) -> None:
        """`what` names what is counted, in the plural."""
        self._what = what
        self._allowed = self.left = allowed

    def spend(self, count: int = 1) -> None:
        """Raises `FileRejected` (`file-too-complex`) once it was too much."""
        self.left -= count
        if self.left < 0:
            raise too_complex(self._what, self._allowed)
