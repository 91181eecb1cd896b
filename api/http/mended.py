"""uvicorn's protocol and its cycle, mended where they lose bytes of a body, or copy them."""

from typing import Any

import httptools
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class WholeCycle(RequestResponseCycle):
    """uvicorn's, which forgets what came of a body before its connection broke, if nobody had read
    it by then: of an upload that goes on later each byte counts."""

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if message["type"] == "http.disconnect" and self.body and not self.response_complete:
            body, self.body = bytes(self.body), bytearray()
            return {"type": "http.request", "body": body, "more_body": self.more_body}
        return message


class MendedProtocol(HttpToolsProtocol):
    """uvicorn's, of which an upgrade that is not taken ends the connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_replaying = False
        """Whether what the parser tells was told before."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.cycle.__class__ = WholeCycle  # it has no say in what class is made, and hasn't begun

    def on_body(self, body: bytes) -> None:
        """A piece for which nobody has come yet is joined to those before it; one alone is passed
        on as it is, where uvicorn would copy it twice."""
        if not self.cycle.body:
            self.cycle.body = b""  # type: ignore[assignment] # to no bytes added, bytes stay what they are
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():  # of the parser's making: see `_ignore_upgrade`
            super().on_message_complete()

    def feed(self, data: memoryview) -> None:
        """Parse on after every upgrade that is not taken, as if it had not been asked for."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._ignore_upgrade()
            else:
                return

    def _ignore_upgrade(self) -> None:
        """RFC 9110, section 7.8: a server may ignore Upgrade, and then serves the request.

        The parser takes what follows such a head for another protocol. A new one is told the head
        again, silently and without the Upgrade, and so finds the body.
        """
        framing = (b"content-length", b"transfer-encoding")
        lines = [b"%s: %s\r\n" % each for each in self.headers if each[0] in framing]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self.is_replaying = True
        try:
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n")
        finally:
            self.is_replaying = False
