"""What every answer to a client of tus has in common, wherever in the service it comes from."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.receive.ietf import is_spoken as is_ietf
from api.receive.tus import VERSION
from api.texts.errors import Problem

IS_TUS_HEAD = "longshore.tus_head"
"""In the scope of a HEAD that asks where an upload stands, which is no GET without its body; also
one of the IETF's."""
_OURS = (b"tus-", b"upload-")
"""How headers of resumable uploads begin."""
_UPLOAD = re.compile(r"/v1/uploads/[^/]+")
_CREATION = re.compile(r"/v1/forms/[^/]+/fields/[^/]+/tus")
_METHODS = ((_UPLOAD, {"HEAD", "PATCH", "DELETE"}), (_CREATION, {"POST"}))
"""Of tus; OPTIONS asks which versions there are."""
_HEAD_ANSWERS = {200, 404, 410, 412, 423}
_LOCKED = 423
_UNAVAILABLE = 503
_FINAL_FOR_CLIENTS = {408, 425, 429}
"""They take any 4xx but 409 and 423 for the end."""


class SpeakTus:
    """Names the version on each answer to a tus client, refuses other versions, and takes
    `X-HTTP-Method-Override` of one. What is said in several lines is one list to all behind it.

    Such clients begin anew when a HEAD is answered with anything but 200, 404, 410 or 423, and give
    up on other requests that are answered 4xx, be it for a body that came too slowly. So a HEAD
    that can't be answered just now is 423, and what may be tried again is 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = _combined(scope)
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        is_upload = _UPLOAD.fullmatch(scope.get("path", "")) is not None
        if "tus-resumable" not in headers:
            # By GET, too, the draft asks for nothing but where the upload stands.
            if is_upload and scope["method"] in ("HEAD", "GET") and is_ietf(headers):
                scope = {**scope, "method": "HEAD", IS_TUS_HEAD: True}
            await self._app(scope, receive, send)
            return
        method = headers.get("x-http-method-override", "").upper() or scope["method"]
        is_head = method == "HEAD" and is_upload
        scope = {**scope, "method": method, IS_TUS_HEAD: is_head}
        if headers["tus-resumable"] != VERSION and _is_of_tus(method, scope["path"]):
            scope.setdefault("refused", other_version())

        async def send_as_tus(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "status": _status(message["status"], is_head=is_head)}
                answered = MutableHeaders(raw=list(message.get("headers", [])))
                answered["Tus-Resumable"] = VERSION
                if message["status"] in (_LOCKED, _UNAVAILABLE):
                    answered.setdefault("Retry-After", "1")
                message["headers"] = answered.raw
            await send(message)

        await self._app(scope, receive, send_as_tus)


def _combined(scope: Scope) -> Scope:
    """With one line of each header of ours (RFC 9110, section 5.3): metadata in two lines is all
    given back, and an offset that is said twice is none, whichever of the two was meant."""
    names = [name for name, _ in scope["headers"] if name.startswith(_OURS)]
    if len(names) == len(set(names)):
        return scope
    lines: dict[bytes, list[bytes]] = {name: [] for name in names}
    others = []
    for name, value in scope["headers"]:
        if name in lines:
            lines[name].append(value)
        else:
            others.append((name, value))
    joined = [(name, b", ".join(values)) for name, values in lines.items()]
    return {**scope, "headers": [*others, *joined]}


def _is_of_tus(method: str, path: str) -> bool:
    return any(method in methods and address.fullmatch(path) for address, methods in _METHODS)


def other_version() -> Problem:
    """tus-version (412), with the one that is spoken."""
    return Problem("tus-version", headers={"Tus-Version": VERSION})


def status_for(scope: Scope, status: int) -> int:
    """What a client of tus is told in place of this status; any other client is told the status
    itself."""
    if "tus-resumable" not in Headers(scope=scope):
        return status
    return _status(status, is_head=bool(scope.get(IS_TUS_HEAD)))


def _status(status: int, *, is_head: bool) -> int:
    if is_head and status not in _HEAD_ANSWERS:
        return _LOCKED
    return _UNAVAILABLE if status in _FINAL_FOR_CLIENTS else status
