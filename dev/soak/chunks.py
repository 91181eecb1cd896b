"""A file sent in chunks: as Dropzone does, several at once, in any order, and some of them twice;
or as FilePond does, one by one, asking how far it is."""

import asyncio
import random
from typing import Any

import httpx

from dev.soak.files import File
from dev.soak.ledger import Ledger
from dev.soak.resumable import Persist

AT_ONCE = 3
MOST = 6
"""Chunks of a file."""


class Chunks:
    """Those of one file for the field at `path`. `persist` repeats a call until it is answered."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        ledger: Ledger,
        persist: Persist,
        path: str,
        headers: dict[str, str],
        file: File,
        rng: random.Random,
    ) -> None:
        self._http = http
        self._ledger = ledger
        self._persist = persist
        self._path = path
        self._headers = headers
        self._file = file
        self._rng = rng
        self._size = len(file.content) // rng.randint(1, MOST) + 1
        self._starts = range(0, len(file.content), self._size)

    async def by_dropzone(self, uuid: str) -> dict[str, Any] | None:
        """The upload once all of it is acknowledged; None where that never came."""
        at_once = asyncio.Semaphore(AT_ONCE)
        order = [*self._starts, *(each for each in self._starts if self._rng.random() < 0.2)]  # noqa: PLR2004 - one in five
        self._rng.shuffle(order)

        async def send(start: int) -> httpx.Response:
            async with at_once:
                return await self._persist(lambda: self._post(uuid, start))

        answers = await asyncio.gather(*map(send, order))
        for answer in answers:
            if not answer.is_success:
                self._ledger.broken.append(f"{uuid}: {answer.status_code} {answer.text[:300]}")
        self._ledger.clients["chunks of Dropzone"] += len(answers)
        whole = [each for each in answers if each.status_code == httpx.codes.ACCEPTED]
        if not whole:
            self._ledger.broken.append(f"{uuid}: no chunk was the last one")
            return None
        acknowledged: dict[str, Any] = whole[0].json()
        return acknowledged

    async def by_filepond(self, key: str) -> str | None:
        """The id of the upload, all of which was acknowledged; None where it never began."""
        length = {"Upload-Length": str(len(self._file.content)), "Idempotency-Key": key}
        where = f"{self._path}/filepond"
        begun = await self._persist(
            lambda: self._http.post(
                where, files={"f": (None, "{}")}, headers={**self._headers, **length}
            )
        )
        if begun.status_code != httpx.codes.CREATED:
            self._ledger.broken.append(f"{where}: {begun.status_code} {begun.text[:300]}")
            return None
        for start in self._starts:
            sent = await self._persist(lambda start=start: self._patch(begun.text, start))  # type: ignore[misc] # of this round
            end = min(start + self._size, len(self._file.content))
            asked = await self._persist(
                lambda: self._http.head(where, params={"patch": begun.text})
            )
            if not sent.is_success or int(asked.headers.get("upload-offset", -1)) < end:
                said = f"{sent.status_code}, {asked.status_code} {dict(asked.headers)}"
                self._ledger.broken.append(f"{begun.text}: {end} was acknowledged, {said}")
            self._ledger.clients["chunks of FilePond"] += 1
        return begun.text

    async def _post(self, uuid: str, start: int) -> httpx.Response:
        said = {
            "dzuuid": uuid,
            "dzchunkindex": start // self._size,
            "dztotalfilesize": len(self._file.content),
            "dzchunksize": self._size,
            "dztotalchunkcount": len(self._starts),
            "dzchunkbyteoffset": start,
        }
        return await self._http.post(
            f"{self._path}/uploads",
            data={name: str(value) for name, value in said.items()},
            files={"file": (self._file.name, self._chunk(start))},
            headers=self._headers,
        )

    async def _patch(self, upload_id: str, start: int) -> httpx.Response:
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(start),
            "Upload-Length": str(len(self._file.content)),
            "Upload-Name": self._file.name,
        }
        where, of = f"{self._path}/filepond", {"patch": upload_id}
        return await self._http.patch(where, params=of, content=self._chunk(start), headers=headers)

    def _chunk(self, start: int) -> bytes:
        return self._file.content[start : start + self._size]
