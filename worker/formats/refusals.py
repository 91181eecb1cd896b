"""What a file is refused for, where its field keeps some of that."""

import contextlib
from collections.abc import Collection, Iterator

from worker.errors import FileRejected


class Refusals:
    """A finding that the field keeps hides none that it refuses: it is held until everything that
    can be was looked for.

    `kept` are the codes that the field flags.
    """

    def __init__(self, kept: Collection[str]) -> None:
        self._kept = kept
        self._held: FileRejected | None = None

    def add(self, verdict: FileRejected) -> None:
        """Raises `verdict` unless the field keeps what it is about."""
        if verdict.code not in self._kept:
            raise verdict
        self._held = self._held or verdict

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """As `add`, with a verdict that is raised within the block."""
        try:
            yield
        except FileRejected as verdict:
            self.add(verdict)

    def settle(self, detected_type: str | None = None) -> None:
        """Raise the first verdict that was held, with what the file was found to be since."""
        if self._held:
            self._held.detected_type = self._held.detected_type or detected_type
            raise self._held
