"""One person's form, over HTTP, with the patience of somebody who wants it to get through."""

import asyncio
import base64
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from dev.soak.chunks import Chunks
from dev.soak.files import File
from dev.soak.ledger import Entry, Ledger
from dev.soak.resumable import TUS, Resumable

PAUSE = 0.4
GIVES_UP_AFTER = 90.0
SUBMIT_WAITS = 3
AGAIN = {401, 408, 409, 423, 425, 429, 500, 502, 503, 504, 507}
"""401 too: none is expected, and one that came with a fault would otherwise look like the end."""


class GaveUp(Exception):  # noqa: N818 - what happened
    """The api did not answer in time: nothing was acknowledged."""


class Person:
    """A form of the shipped type. Everything acknowledged goes into the ledger at once."""

    def __init__(self, http: httpx.AsyncClient, ledger: Ledger) -> None:
        self._http = http
        self._ledger = ledger
        self.form_id = ""
        self._headers: dict[str, str] = {}

    async def begin(self, number: int) -> None:
        data = {"full_name": f"Person {number}", "email": f"p{number}@example.org", "agree": True}
        body = {"type": "therapist_signup", "data": data}
        answer = await self._persist(lambda: self._http.post("/v1/forms", json=body))
        made = self._json(answer, 201)
        self.form_id = made["id"]
        self._headers = {"Authorization": f"Bearer {made['token']}"}

    def _json(self, answer: httpx.Response, status: int) -> dict[str, Any]:
        """The content of an answer with this status; any other is a promise broken."""
        if answer.status_code != status:
            asked = f"{answer.request.method} {answer.url}"
            self._ledger.broken.append(f"{asked}: {answer.status_code} {answer.text[:300]}")
            raise GaveUp
        content: dict[str, Any] = answer.json()
        return content

    async def send(self, field: str, file: File, key: str | None = None) -> Entry:
        """As multipart; with `key`, as a raw PUT or under an Idempotency-Key."""
        path = f"/v1/forms/{self.form_id}/fields/{field}/uploads"
        form = {"file": (file.name, file.content, file.media_type)}
        headers = self._headers

        def send() -> Awaitable[httpx.Response]:
            if key and key.startswith("put"):
                raw = {**headers, "Content-Type": file.media_type}
                return self._http.put(f"{path}/{key}", content=file.content, headers=raw)
            keyed = {**headers, "Idempotency-Key": key} if key else headers
            return self._http.post(path, files=form, headers=keyed)

        began = time.monotonic()
        answer = await self._persist(send)
        if answer.status_code == 422 and key:  # noqa: PLR2004 - the status of a reused key
            self._ledger.broken.append(f"key {key}: {answer.text[:300]}")
            raise GaveUp
        # of the try that was answered; what was tried before was cut off
        seconds = answer.elapsed.total_seconds() if answer.is_success else time.monotonic() - began
        return self._enter(field, file, self._json(answer, 202), seconds)

    async def send_resumable(self, field: str, file: File, key: str, rng: random.Random) -> Entry:
        """By tus, in several requests."""
        began = time.monotonic()
        resumable = await self._begin_resumable(field, file, key)
        await resumable.send(rng)
        return await self._enter_resumable(field, file, resumable.url, began)

    async def send_in_chunks(self, field: str, file: File, key: str, rng: random.Random) -> Entry:
        """As Dropzone or FilePond does."""
        began = time.monotonic()
        path = f"/v1/forms/{self.form_id}/fields/{field}"
        chunks = Chunks(self._http, self._ledger, self._persist, path, self._headers, file, rng)
        if rng.random() < 0.5:  # noqa: PLR2004 - each of the two
            upload_id = await chunks.by_filepond(key)
            if upload_id:
                url = f"/v1/uploads/{upload_id}"
                return await self._enter_resumable(field, file, url, began)
        elif upload := await chunks.by_dropzone(key):
            return self._enter(field, file, upload, time.monotonic() - began)
        raise GaveUp

    async def _enter_resumable(self, field: str, file: File, url: str, began: float) -> Entry:
        async def read() -> httpx.Response:
            answer = await self._http.get(url, headers=self._headers)
            if answer.is_success and answer.json()["status"] == "receiving":
                raise httpx.ReadTimeout("its api died at the last byte: the sweep finishes it")
            return answer

        answer = await self._persist(read)
        return self._enter(field, file, self._json(answer, 200), time.monotonic() - began)

    async def abandon_resumable(
        self, field: str, file: File, key: str, rng: random.Random, share: float
    ) -> None:
        """Send a part by tus, and never come back."""
        resumable = await self._begin_resumable(field, file, key)
        await resumable.send(rng, share=share)
        self._ledger.clients["resumable uploads abandoned"] += 1

    async def _begin_resumable(self, field: str, file: File, key: str) -> Resumable:
        name = base64.b64encode(file.name.encode()).decode()
        headers = {
            **self._headers,
            **TUS,
            "Idempotency-Key": key,
            "Upload-Length": str(len(file.content)),
            "Upload-Metadata": f"filename {name}",
        }
        path = f"/v1/forms/{self.form_id}/fields/{field}/tus"
        answer = await self._persist(lambda: self._http.post(path, headers=headers))
        if answer.status_code != httpx.codes.CREATED:
            self._ledger.broken.append(f"{path}: {answer.status_code} {answer.text[:300]}")
            raise GaveUp
        url = answer.headers["location"]
        return Resumable(self._http, self._ledger, self._persist, url, file)

    async def save_section(self, field: str, files: list[File]) -> list[Entry]:
        """Several files and a text in one PATCH, which is all or nothing."""
        parts = [(field, (file.name, file.content, file.media_type)) for file in files]
        answer = await self._persist(
            lambda: self._http.patch(
                f"/v1/forms/{self.form_id}",
                data={"licence_number": "A-1"},
                files=parts,
                headers=self._headers,
            )
        )
        seconds = answer.elapsed.total_seconds()
        listed = self._json(answer, 202)["uploads"][field]
        by_hash = {upload["sha256"]: upload for upload in listed}
        return [self._enter(field, file, by_hash[file.sha256], seconds) for file in files]

    async def remove(self, entry: Entry) -> None:
        entry.removed = True
        await self._persist(
            lambda: self._http.delete(f"/v1/uploads/{entry.upload_id}", headers=self._headers)
        )
        self._ledger.clients["removals"] += 1

    async def submit(self) -> None:
        """Wait a little, and try once: what is pending or missing is for a person to mend."""
        path, patient = f"/v1/forms/{self.form_id}", {"Prefer": f"wait={SUBMIT_WAITS}"}
        with suppress(httpx.HTTPError):
            await self._http.get(path, headers={**self._headers, **patient})
            answer = await self._http.post(f"{path}/submit", headers=self._headers)
            self._ledger.clients[f"submits answered {answer.status_code}"] += 1
            if answer.is_success:
                self._ledger.submitted.add(self.form_id)

    async def break_off(self, field: str, file: File, share: float) -> None:
        """Send a part of a file, and reset the connection."""
        address = urlsplit(str(self._http.base_url))
        head = (
            f"PUT /v1/forms/{self.form_id}/fields/{field}/uploads/broken HTTP/1.1\r\nHost: soak\r\n"
            f"Authorization: {self._headers['Authorization']}\r\n"
            f"Content-Type: {file.media_type}\r\nContent-Length: {len(file.content)}\r\n\r\n"
        )
        with suppress(OSError):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(head.encode() + file.content[: int(len(file.content) * share)])
            await asyncio.sleep(0.02)
            writer.transport.abort()
        self._ledger.clients["bodies broken off"] += 1

    def _enter(self, field: str, file: File, upload: dict[str, Any], seconds: float) -> Entry:
        if upload["sha256"] != file.sha256:
            self._ledger.broken.append(f"{upload['id']}: acknowledged with another SHA-256")
        return self._ledger.acknowledge(
            Entry(
                upload_id=upload["id"],
                form_id=self.form_id,
                field=field,
                sha256=file.sha256,
                unchanged=file.unchanged,
                hostile=file.hostile,
                seconds=seconds,
            )
        )

    async def _persist(self, call: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Again and again, as a person would, while nothing or an invitation to come back is
        answered. Raises `GaveUp`."""
        deadline = time.monotonic() + GIVES_UP_AFTER
        while time.monotonic() < deadline:
            try:
                answer = await call()
            except httpx.HTTPError as error:
                self._ledger.clients[f"no answer ({type(error).__name__})"] += 1
            else:
                if answer.status_code not in AGAIN:
                    return answer
                self._ledger.clients[f"told to come back ({answer.status_code})"] += 1
                if _code(answer) == "form-submitted":
                    break
            await asyncio.sleep(PAUSE)
        self._ledger.clients["gave up"] += 1
        raise GaveUp


def _code(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("code"))
    except ValueError:
        return ""
