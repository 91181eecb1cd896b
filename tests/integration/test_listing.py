"""A listing that is read on while forms are submitted, and what it never tells."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from api import forms as use_forms
from api.forms import Given
from api.listing import Wanted, list_page
from api.records import forms
from api.records.rows import FormRow
from api.services import Services
from tests.support.services import Scene


async def test_a_form_that_is_committed_later_is_listed_later(scene: Scene) -> None:
    services: Services = scene.services
    async with services.database.write() as tx:
        first = await forms.create(
            tx, form_id="frm_first", form_type="x", reference="r", token_hash="1", data={}
        )
        second = asyncio.create_task(_create(services))
        await asyncio.sleep(0.3)
        assert not second.done(), "its moment is given when the first is committed"
    assert first.created_at < (await second).created_at


async def _create(services: Services) -> FormRow:
    async with services.database.write() as tx:
        return await forms.create(
            tx, form_id="frm_second", form_type="x", reference="r", token_hash="2", data={}
        )


async def test_no_two_forms_have_one_moment(scene: Scene) -> None:
    type_name = next(iter(scene.services.form_types))
    made = [
        await use_forms.create(scene.services, type_name, {}, None, beginner=None)
        for _ in range(20)
    ]
    assert len({form.created_at for form, _, _ in made}) == 20


@pytest.mark.parametrize("status", ["draft", "submitted"])
async def test_a_form_that_is_purged_is_listed_no_more(scene: Scene, status: str) -> None:
    services = scene.services
    if status == "submitted":
        await scene.stored()
        await use_forms.submit(services, scene.form)
    everything = Wanted(form_type=None, status=None, reference=None, limit=10)
    wanted = [everything, replace(everything, form_type="acceptance")]
    wanted.append(replace(everything, status=status))
    for each in wanted:
        assert len((await list_page(services, each, None)).forms) == 1
    await use_forms.purge(services, scene.form, always=True)
    for each in wanted:
        assert (await list_page(services, each, None)).forms == []


async def test_nothing_of_the_person_is_in_the_records_once_the_form_is_purged(
    scene: Scene,
) -> None:
    services = scene.services
    form, _, _ = await use_forms.create(
        services,
        "acceptance",
        {"note": "personal"},
        "personal-7",
        beginner=None,
        given=Given("https://a.example/personal", "https://b.example/personal", ["personal"]),
    )
    scene = Scene(services, form)
    upload = await scene.staged()
    personal = [{"code": "a-code", "detail": "personal", "params": {}}]
    await scene.set_all(
        filename="personal.png",
        declared_type="image/personal",
        key="personal",
        error=personal[0],
        notices=personal,
        flags=personal,
    )
    assert await _count(services, "personal") == 2
    await use_forms.purge(services, form, always=True)
    assert await _count(services, "personal") == 0
    assert await _count(services, upload.id) == 1, "its bytes are still to be unlinked"


async def _count(services: Services, words: str) -> int:
    """Rows of forms and uploads that have these words anywhere."""
    async with services.database.read() as conn:
        rows = [
            row
            for table in ("forms", "uploads")
            for row in await conn.execute(text(f"SELECT * FROM {table}"))  # noqa: S608 - ours
        ]
    return sum(words in str(row) for row in rows)
