"""What the api answers where a disk really is full: the volume's, or the database's. Started in a
mount namespace by `tests/integration/test_full_volume.py`, with which of them, the mounted folder
and another one; prints JSON."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx

from api.records import migrate
from api.services import Services
from tests.support import chunks
from tests.support.listeners import new_form, public
from tests.support.services import services_on
from tests.support.sql import values_of
from tests.support.tus import CONTENT, begun, stands
from tests.support.tus import send as tus_send

MIB = 1024 * 1024


async def full_volume(volume: Path, folder: Path) -> list[dict[str, object]]:
    url = f"sqlite:///{folder}/records.db"
    await migrate.upgrade(url)
    async with (
        services_on(folder, url, staging_dir=volume) as services,
        public(services) as client,
    ):
        form = await new_form(client)
        path = f"/v1/forms/{form['id']}/fields/bulk/uploads"
        said = [await _told(services, await client.put(f"{path}/declared", content=bytes(8 * MIB)))]
        said.append(await _told(services, await client.put(f"{path}/chunked", content=_chunks(8))))
        number = 0
        try:
            while True:
                (volume / f"filler-{number}").touch()
                number += 1
        except OSError:
            pass
        said.append(await _told(services, await client.put(f"{path}/small", content=b"small")))
        said.append(await _told(services, await client.get("/readyz")))
        for filler in list(volume.glob("filler-*")):  # noqa: ASYNC240 - nothing else goes on
            filler.unlink()
        said.append(await _told(services, await client.put(f"{path}/small", content=b"small")))
        return said


async def full_amid_pieces(volume: Path, folder: Path) -> list[dict[str, object]]:
    """Of each way to send in pieces: what is told while there is no room, and at its end."""
    url = f"sqlite:///{folder}/records.db"
    await migrate.upgrade(url)
    async with (
        services_on(folder, url, staging_dir=volume) as services,
        public(services) as client,
    ):
        return [
            *await _by_tus(services, client, volume),
            *await _by_filepond(services, client, volume),
            *await _by_dropzone(services, client, volume),
        ]


async def _by_tus(
    services: Services, client: httpx.AsyncClient, volume: Path
) -> list[dict[str, object]]:
    url = await begun(client)
    await tus_send(client, url, 0, CONTENT[:1000])
    with _filled(volume):
        refused = await tus_send(client, url, 1000, CONTENT[1000:])
        at = int((await stands(client, url)).headers["upload-offset"])
    last = await tus_send(client, url, at, CONTENT[at:])
    return [await _heard(services, refused), await _heard(services, last, await client.get(url))]


async def _by_filepond(
    services: Services, client: httpx.AsyncClient, volume: Path
) -> list[dict[str, object]]:
    form = await new_form(client)
    upload = (await chunks.filepond_begin(client, form)).text

    async def put(index: int) -> httpx.Response:
        at, content = index * chunks.SIZE, chunks.chunk(index)
        return await chunks.filepond_chunk(client, form, upload, at, content)

    await put(0)
    with _filled(volume):
        refused = await put(1)
    sent = [await put(index) for index in range(1, chunks.COUNT)]
    found = await client.get(f"/v1/uploads/{upload}")
    return [await _heard(services, refused), await _heard(services, sent[-1], found)]


async def _by_dropzone(
    services: Services, client: httpx.AsyncClient, volume: Path
) -> list[dict[str, object]]:
    form = await new_form(client)
    upload = (await chunks.dropzone(client, form, chunks.COUNT - 1)).json()["id"]
    with _filled(volume):
        tried = [chunks.dropzone(client, form, index) for index in (0, 1)]
        refused = (await asyncio.gather(*tried))[0]
    sent = [await chunks.dropzone(client, form, index) for index in range(chunks.COUNT - 1)]
    found = await client.get(f"/v1/uploads/{upload}")
    return [await _heard(services, refused), await _heard(services, sent[-1], found)]


@contextlib.contextmanager
def _filled(volume: Path) -> Iterator[None]:
    filler = volume / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


async def _heard(
    services: Services, answer: httpx.Response, found: httpx.Response | None = None
) -> dict[str, object]:
    body = found.json() if found else answer.json()
    names = await values_of(services.database, "SELECT name FROM segments WHERE NOT condemned")
    files = {each.name for each in (services.staging.root / "segments").iterdir()}
    return {
        "status": answer.status_code,
        "says": body.get("code") or body["status"],
        "sha256": body.get("sha256"),
        "lost": sorted({str(each) for each in names} - files),
        "incoming": len([*services.staging.root.glob("incoming/*")]),
    }


async def full_database(disk: Path, folder: Path) -> list[dict[str, object]]:
    url = f"sqlite:///{disk}/records.db"
    await migrate.upgrade(url)
    async with services_on(folder, url) as services, public(services) as client:
        form = await new_form(client)
        path = f"/v1/forms/{form['id']}/fields/bulk/uploads"
        with _filled(disk):
            said = [
                await _told(services, await client.put(f"{path}/{number}", content=b"small"))
                for number in range(2)
            ]
        said.append(await _told(services, await client.put(f"{path}/small", content=b"small")))
        return said


async def _chunks(mebibytes: int) -> AsyncIterator[bytes]:
    for _ in range(mebibytes):
        yield bytes(MIB)


async def _told(services: Services, answer: httpx.Response) -> dict[str, object]:
    (rows,) = await values_of(services.database, "SELECT count(*) FROM uploads")
    body = answer.json()
    root = services.staging.root
    return {
        "status": answer.status_code,
        "says": body.get("code") or body.get("checks") or body["status"],
        "retry_after": answer.headers.get("retry-after"),
        "rows": rows,
        "files": len([*root.glob("incoming/*"), *root.glob("staged/*")]),
    }


if __name__ == "__main__":
    scenario = {
        "volume": full_volume,
        "pieces": full_amid_pieces,
        "database": full_database,
    }[sys.argv[1]]
    print(json.dumps(asyncio.run(scenario(Path(sys.argv[2]), Path(sys.argv[3])))))
