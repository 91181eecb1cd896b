"""The two ways a promotion can fail: the file is bad, or the world is."""

from shared.causes import Cause
from shared.codes import Params


class FileRejected(Exception):  # noqa: N818 - a verdict about the file, not a fault of ours
    """This file can't be accepted, however often it is tried: the person must act.

    `code` is stable and public; the api words the text from it and `params`.
    """

    def __init__(
        self, code: str, params: Params | None = None, *, detected_type: str | None = None
    ) -> None:
        super().__init__(code, params or {})
        self.code = code
        self.params = dict(params or {})
        self.detected_type = detected_type


class TransientError(Exception):
    """Nothing is known to be wrong with the file: try again later.

    `counted` says whether the try uses up one of the upload's attempts: it does where the file may
    have had a part in it.
    """

    def __init__(self, cause: Cause, *, counted: bool, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause
        self.counted = counted
        self.detail = detail


class KeyTaken(TransientError):  # noqa: N818 - says what happened, as FileRejected does
    """The key holds other bytes, which are left as they are: the next claim has keys of its own.

    Nothing that the store is to blame for.
    """

    def __init__(self, key: str) -> None:
        super().__init__(Cause.STORE, counted=False, detail=f"{key} holds other bytes")


class SourceChanged(TransientError):  # noqa: N818 - says what happened, as FileRejected does
    """The file on the volume is not, or no longer, the bytes that were announced.

    Nothing was stored. Whether that is a moment of a network file system or a damaged volume is
    for the caller to find out.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(Cause.VOLUME, counted=False, detail=detail)
