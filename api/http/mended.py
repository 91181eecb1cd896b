"""uvicorn's protocol and its cycle, mended where they lose bytes of a body, or copy them."""

from typing import Any, cast

import httptools
from uvicorn._types import ASGIReceiveEvent, HTTPRequestEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.http.large_bodies import LEAST, LargeBody

_LENGTH = b"content-length"
_FRAMING = (_LENGTH, b"transfer-encoding")


class WholeCycle(RequestResponseCycle):
    """uvicorn's, which forgets what came of a body before its connection broke, if nobody had read
    it by then: of an upload that goes on later each byte counts."""

    large: LargeBody | None = None
    """What takes the rest of the body, where that doesn't pass the parser."""

    async def receive(self) -> ASGIReceiveEvent:
        """As ASGI has it, but for the bytes of a large body, which may be a `memoryview`."""
        message = await super().receive()
        if self.response_complete:
            return message
        is_gone = message["type"] == "http.disconnect"
        body: bytes | memoryview = bytes(self.body) if is_gone else _body_of(message)
        self.body = bytearray()
        if self.large:  # always all: it is read on, and has to have room
            rest = self.large.taken()
            body = b"".join((body, rest)) if body and rest else body or rest
        if is_gone and not body:
            return message
        return {"type": "http.request", "body": cast("bytes", body), "more_body": self.more_body}


class MendedProtocol(HttpToolsProtocol):
    """uvicorn's, of which an upgrade that is not taken ends the connection, and which has all of a
    body parsed."""

    cycle: WholeCycle

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_replaying = False
        """Whether what the parser tells was told before."""
        self._left = 0
        """Bytes of the body that are still to come; 0 where nobody knows."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        framing = {name: value for name, value in self.headers if name in _FRAMING}
        self._left = 0 if b"transfer-encoding" in framing else int(framing.get(_LENGTH, 0))
        self.cycle.__class__ = WholeCycle  # it has no say in what class is made, and hasn't begun

    def on_body(self, body: bytes) -> None:
        """A piece for which nobody has come yet is joined to those before it; one alone is passed
        on as it is, where uvicorn would copy it twice."""
        self._left -= len(body)
        if not self.cycle.body:
            self.cycle.body = b""  # type: ignore[assignment] # to no bytes added, bytes stay what they are
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():  # of the parser's making: see `_ignore_upgrade`
            super().on_message_complete()

    def feed(self, data: memoryview) -> None:
        """Parse on after every upgrade that is not taken, as if it had not been asked for. What a
        large body still has to come doesn't pass the parser."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._ignore_upgrade()
            else:
                break
        if self._left >= LEAST and not self.pipeline and not self.cycle.response_complete:
            self.cycle.large = LargeBody(self, self._left)
            self.transport.set_protocol(self.cycle.large)

    def eof_received(self) -> bool:  # type: ignore[override] # as asyncio has it
        """Whether to stay connected. Who has sent a large body, and says that nothing follows it,
        is still answered; that it is gone shows only then."""
        cycle: WholeCycle | None = self.cycle
        if not cycle or not cycle.large or self._left or cycle.response_complete:
            return False
        cycle.keep_alive = False
        return True

    def heard(self) -> None:
        """Something came of a large body."""
        self._unset_keepalive_if_required()

    def body_is_here(self) -> None:
        """Have what follows a large body be parsed, by a parser that knows nothing of it."""
        self._left = 0
        self.parser = self._new_parser()
        self.transport.set_protocol(self)
        self.on_message_complete()

    def _ignore_upgrade(self) -> None:
        """RFC 9110, section 7.8: a server may ignore Upgrade, and then serves the request.

        The parser takes what follows such a head for another protocol. A new one is told the head
        again, silently and without the Upgrade, and so finds the body.
        """
        lines = [b"%s: %s\r\n" % each for each in self.headers if each[0] in _FRAMING]
        self.parser = self._new_parser()
        self.is_replaying = True
        try:
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n")
        finally:
            self.is_replaying = False

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        return parser


def _body_of(message: ASGIReceiveEvent) -> bytes:
    return cast("HTTPRequestEvent", message)["body"]
