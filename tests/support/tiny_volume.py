"""What the api answers where a disk really is full: the volume's, or the database's. Started in a
mount namespace by `tests/integration/test_full_volume.py`, with which of them, the mounted folder
and another one; prints JSON."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from api.records import migrate
from api.services import Services
from tests.support.listeners import new_form, public
from tests.support.services import services_on
from tests.support.sql import values_of

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


async def full_database(disk: Path, folder: Path) -> list[dict[str, object]]:
    url = f"sqlite:///{disk}/records.db"
    await migrate.upgrade(url)
    async with services_on(folder, url) as services, public(services) as client:
        form = await new_form(client)
        path = f"/v1/forms/{form['id']}/fields/bulk/uploads"
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        said = [
            await _told(services, await client.put(f"{path}/{number}", content=b"small"))
            for number in range(2)
        ]
        filler.unlink()
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
    scenario = {"volume": full_volume, "database": full_database}[sys.argv[1]]
    print(json.dumps(asyncio.run(scenario(Path(sys.argv[2]), Path(sys.argv[3])))))
