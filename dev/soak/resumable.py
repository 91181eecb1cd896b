"""A file sent by tus, in as many requests as it takes: what was acknowledged is never asked for
again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from dev.soak.files import File
from dev.soak.ledger import Ledger

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
LOCKED = 423
PIECES = 4
"""At most so many requests for a file whose connections don't break."""
Persist = Callable[[Callable[[], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]


class Resumable:
    """One upload that was begun at `url`. `persist` repeats a call until it is answered."""

    def __init__(
        self, http: httpx.AsyncClient, ledger: Ledger, persist: Persist, url: str, file: File
    ) -> None:
        self._http = http
        self._ledger = ledger
        self._persist = persist
        self.url = url
        self._content = file.content
        self._acknowledged = 0

    async def send(self, rng: random.Random, *, share: float = 1) -> None:
        """Send this share of the file; some requests break off, and are gone on with."""
        end = int(len(self._content) * share)
        while self._acknowledged < end:
            at, count = self._acknowledged, rng.randint(1, max(1, len(self._content) // PIECES))
            piece = self._content[at : min(at + count, end)]
            if rng.random() < 0.2:  # noqa: PLR2004 - one in five
                await self._break_off(at, piece)
            else:
                with suppress(httpx.HTTPError):
                    headers = {**BYTES, "Upload-Offset": str(at)}
                    answer = await self._http.patch(self.url, content=piece, headers=headers)
                    if answer.is_success:
                        self._note(answer)
                        continue
            await self._ask()

    async def _ask(self) -> None:
        """Where it stands: 423 for as long as that can't be told."""
        self._ledger.clients["offsets asked for"] += 1
        answer = await self._persist(lambda: self._http.head(self.url, headers=TUS))
        if answer.is_success:
            self._note(answer)
        else:
            self._ledger.broken.append(f"HEAD {self.url}: {answer.status_code}")
            self._acknowledged = len(self._content)

    def _note(self, answer: httpx.Response) -> None:
        at = int(answer.headers["upload-offset"])
        if at < self._acknowledged:
            self._ledger.broken.append(
                f"{self.url}: {self._acknowledged} was acknowledged, not {at}"
            )
        self._acknowledged = at
        self._ledger.clients["offsets acknowledged"] += 1

    async def _break_off(self, at: int, piece: bytes) -> None:
        """Announce the rest of the file, send a piece of it, and reset the connection."""
        address = urlsplit(str(self._http.base_url))
        head = (
            f"PATCH {self.url} HTTP/1.1\r\nHost: soak\r\nTus-Resumable: 1.0.0\r\n"
            f"Content-Type: application/offset+octet-stream\r\nUpload-Offset: {at}\r\n"
            f"Content-Length: {len(self._content) - at}\r\n\r\n"
        )
        with suppress(OSError):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(head.encode() + piece)
            await asyncio.sleep(0.02)
            writer.transport.abort()
        self._ledger.clients["resumable requests broken off"] += 1
