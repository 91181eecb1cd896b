"""Dropzone's and FilePond's chunks on the real application."""

import hashlib
from typing import Any

import httpx
import pytest

from api.services import Services
from shared.volume import STAGED
from tests.support.listeners import new_form, public

CONTENT = bytes(range(256)) * 1000
SIZE = 100_000
COUNT = 3


def fields(index: int, **other: object) -> dict[str, str]:
    """What Dropzone says of the chunk of that number."""
    said: dict[str, object] = {
        "dzuuid": "6b1f",
        "dzchunkindex": index,
        "dztotalfilesize": len(CONTENT),
        "dzchunksize": SIZE,
        "dztotalchunkcount": COUNT,
        "dzchunkbyteoffset": index * SIZE,
        **other,
    }
    return {name: str(value) for name, value in said.items()}


def chunk(index: int) -> bytes:
    return CONTENT[index * SIZE : (index + 1) * SIZE]


async def send(
    client: httpx.AsyncClient,
    form: dict[str, Any],
    index: int,
    content: bytes | None = None,
    field: str = "bulk",
    **other: object,
) -> httpx.Response:
    file = ("licence.pdf", chunk(index) if content is None else content)
    path = f"/v1/forms/{form['id']}/fields/{field}/uploads"
    return await client.post(path, data=fields(index, **other), files={"file": file})


async def whole(services: Services, client: httpx.AsyncClient, url: str) -> None:
    found = (await client.get(url)).json()
    assert found["status"] == "staged"
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (services.settings.staging_dir / STAGED / found["id"]).read_bytes() == CONTENT


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 1, 0, 2, 2)])
async def test_chunks_in_any_order_and_repeated_are_one_staged_file(
    services: Services, order: tuple[int, ...]
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        answers = [await send(client, form, index) for index in order]
        assert all(answer.is_success for answer in answers), [each.text for each in answers]
        assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
        assert answers[0].json()["status"] == "receiving"
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 202
        assert answers[-1].json()["filename"] == "licence.pdf"
        await whole(services, client, answers[-1].json()["url"])
