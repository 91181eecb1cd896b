"""What changes while the body is under way is seen before the file is taken."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.access.tokens import PERSON
from api.forms import closing
from api.records.rows import UploadRow
from api.uploads.acknowledge import acknowledge
from tests.support.begun import CONTENT, MOST, PATIENCE, Begun, each_way, services_in
from tests.support.listeners import public
from tests.support.ways import ALONE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@each_way
async def test_a_form_that_is_submitted_meanwhile_takes_the_file_no_more(
    begun: Begun, way: str
) -> None:
    stored = await begun.scene.stored()

    async def submit() -> None:
        await closing.submit(begun.scene.services, begun.scene.form)

    answer = await begun.send(way, midway=submit)
    assert (answer.status_code, answer.json()["code"]) == (409, "form-submitted")
    assert begun.files() == {stored.id}


@each_way
async def test_a_form_that_is_purged_meanwhile_takes_the_file_no_more(
    begun: Begun, way: str
) -> None:
    async def purge() -> None:
        await closing.purge(begun.scene.services, begun.scene.form, by=PERSON)

    answer = await begun.send(way, midway=purge)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert begun.files() == set()


@each_way
async def test_a_field_that_fills_up_meanwhile_takes_no_more_than_it_may(
    begun: Begun, way: str
) -> None:
    others: list[UploadRow] = []

    async def fill() -> None:
        others.extend([await begun.scene.staged("pair", bytes([n])) for n in range(2)])

    answer = await begun.send(way, midway=fill)
    if way in ALONE:
        assert (answer.status_code, answer.json()["code"]) == (409, "too-many-files")
    read = (await begun.client.get(begun.path)).json()
    taken = [each for each in read["uploads"]["pair"] if each["status"] != "rejected"]
    assert [each["id"] for each in taken] == [other.id for other in others]
    assert begun.files() == {other.id for other in others}


@each_way
async def test_a_form_that_fills_up_meanwhile_holds_no_more_than_it_may(
    begun: Begun, way: str
) -> None:
    others: list[UploadRow] = []

    async def fill() -> None:
        others.append(await begun.scene.staged("needed", bytes(MOST - len(CONTENT) + 1)))

    answer = await begun.send(way, midway=fill)
    if way in ALONE:
        assert (answer.status_code, answer.json()["code"]) == (413, "form-full")
    assert begun.files() == {other.id for other in others}


async def test_a_section_that_another_saves_meanwhile_is_refused_whole(begun: Begun) -> None:
    tag = (await begun.client.get(begun.path)).headers["etag"]

    async def save() -> None:
        await begun.client.patch(begun.path, json={"note": "another's"})

    answer = await begun.send("section", midway=save, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition-failed")
    assert (await begun.client.get(begun.path)).json()["uploads"]["pair"] == []
    assert begun.files() == set()


async def test_a_key_that_is_used_meanwhile_for_another_file_is_told(begun: Begun) -> None:
    field = begun.scene.services.form_types["acceptance"].file_fields["pair"]
    received = await begun.scene.received(b"another")

    async def take_the_key() -> None:
        await acknowledge(
            begun.scene.services, begun.scene.form.id, field, received, request_id="r", key="key"
        )

    answer = await begun.send("raw", midway=take_the_key)
    assert (answer.status_code, answer.json()["code"]) == (422, "key-reused")
    assert begun.files() == {received.staged.name}


async def test_who_begins_several_drafts_at_once_begins_no_more_than_may_be(
    tmp_path: Path,
) -> None:
    all_have_asked = asyncio.Barrier(4)

    async def body() -> AsyncIterator[bytes]:
        await all_have_asked.wait()
        yield b'{"type":"acceptance"}'

    json = {"Content-Type": "application/json"}
    async with (
        services_in(tmp_path, max_drafts_per_hour=2) as services,
        public(services) as client,
        asyncio.timeout(PATIENCE),
    ):
        answers = await asyncio.gather(
            *(client.post("/v1/forms", headers=json, content=body()) for _ in range(4))
        )
    assert sorted(each.status_code for each in answers) == [201, 201, 429, 429]
