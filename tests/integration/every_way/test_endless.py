"""Bodies without end, and what is still sent after a refusal."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from api.forms import closing
from api.http import middleware
from api.services import Services
from shared.ids import new_id
from tests.support.begun import PATIENCE, Begun, begin, each_way
from tests.support.listeners import SECRET, internal, new_form, public

pytestmark = pytest.mark.asyncio(loop_scope="module")


@each_way
async def test_a_file_that_stops_coming_is_cut_off(impatient: Services, way: str) -> None:
    async with begin(impatient) as begun:
        answer = await begun.send(way, midway=asyncio.Event().wait)
        assert (answer.status_code, answer.json()["code"]) == (408, "request-timeout")
        assert answer.headers["connection"] == "close"
        assert begun.files() == set()


JSON = {"Content-Type": "application/json"}
TEXTS = [
    ("POST", "/v1/forms", JSON),
    ("PATCH", "/v1/forms/{id}", JSON),
    ("POST", "/v1/forms/{id}/fields/pair/uploads", JSON),
    ("POST", "/v1/forms/{id}", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("DELETE", "/v1/forms/{id}/fields/pair/filepond", {}),
    ("POST", f"/internal/uploads/upl_{'a' * 26}/claim", JSON | SECRET),
    ("PATCH", "/internal/forms/{id}", JSON | SECRET),
]
each_text = pytest.mark.parametrize(
    ("method", "path", "headers"), TEXTS, ids=[f"{each[0]} {each[1][:20]}" for each in TEXTS]
)


@each_text
async def test_a_text_that_never_ends_is_too_large(
    services: Services, method: str, path: str, headers: dict[str, str]
) -> None:
    async def many() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 50_000

    answer = await _say(services, method, path, headers, many())
    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")


@each_text
async def test_a_text_that_stops_coming_is_cut_off(
    impatient: Services, method: str, path: str, headers: dict[str, str]
) -> None:
    async def silence() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = await _say(impatient, method, path, headers, silence())
    assert (answer.status_code, answer.json()["code"]) == (408, "request-timeout")
    assert answer.headers["connection"] == "close"


async def _say(
    services: Services,
    method: str,
    path: str,
    headers: dict[str, str],
    body: AsyncIterator[bytes],
) -> httpx.Response:
    """The answer to a body whose length is not declared."""
    listener = internal if path.startswith("/internal") else public
    async with public(services) as client, listener(services) as asked, asyncio.timeout(PATIENCE):
        form = await new_form(client)
        bearer = {"Authorization": client.headers["Authorization"]}
        return await asked.request(
            method, path.format(id=form["id"]), headers=bearer | headers, content=body
        )


@each_way
async def test_what_is_refused_before_its_body_is_read_on_to_its_end(
    begun: Begun, way: str
) -> None:
    await begun.scene.stored()
    await closing.submit(begun.scene.services, begun.scene.form)
    came = []

    async def note() -> None:
        came.append("the first half")

    answer = await begun.send(way, midway=note)
    assert (answer.status_code, answer.json()["code"]) == (409, "form-submitted")
    assert answer.headers["connection"] == "close"
    assert came, "or who is still sending would see a reset in place of the answer"


async def test_and_so_it_is_for_a_worker(services: Services) -> None:
    came = []

    async def report() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(50_000)
        came.append("all of it")

    answer = await _say(services, *TEXTS[-1], report())
    assert answer.status_code == 413
    assert came


async def test_but_not_for_ever(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "DRAIN_BYTES", 1000)
    pieces = iter(range(100))

    async def endless() -> AsyncIterator[bytes]:
        for _ in pieces:
            yield bytes(100)

    async with asyncio.timeout(PATIENCE):
        answer = await begun.client.post(f"/v1/forms/{new_id('frm')}", content=endless())
    assert answer.status_code == 404
    assert 8 <= next(pieces) <= 12
