"""One fsync of a folder for all who wait for it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from api.staging.file_calls import fsync_folder
from api.staging.together import Together


class FolderSync(Together[None]):
    """One fsync of a folder for all who wait for it: it covers whoever renamed before it began."""

    def __init__(
        self, path: Path, in_thread: Callable[[Callable[[Path], None], Path], Awaitable[None]]
    ) -> None:
        """`in_thread` calls in a thread."""
        super().__init__(lambda: in_thread(fsync_folder, path))
