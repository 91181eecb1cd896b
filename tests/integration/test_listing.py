"""A listing that is read on while forms are submitted, and what it never tells."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import update

from api.forms import closing, drafts
from api.forms.drafts import Given
from api.forms.listing import Wanted, list_page
from api.records import forms
from api.records.rows import FormRow
from api.records.tables import forms as form_table
from api.services import Services
from tests.support.commits import held_before_the_commit
from tests.support.services import BACK_END, Scene
from tests.support.sql import execute, rows_of


async def test_a_form_that_is_committed_later_is_listed_later(scene: Scene) -> None:
    services: Services = scene.services
    with held_before_the_commit() as (held, go_on):
        first = asyncio.create_task(_create(services, "1"))
        await held.wait()
        second = asyncio.create_task(_create(services, "2"))
        await asyncio.sleep(0.3)
        assert not second.done(), "its moment is given when the first is committed"
        go_on.set()
        assert (await first).created_at < (await second).created_at


async def _create(services: Services, number: str) -> FormRow:
    return await services.database.write(
        lambda tx: forms.create(
            tx,
            form_id=f"frm_{number}",
            form_type="x",
            reference="r",
            token_hash=number,
            data={},
        )
    )


async def test_no_two_forms_have_one_moment_though_the_clock_stands_still(scene: Scene) -> None:
    services = scene.services
    ahead = scene.form.created_at + 3_600_000  # the clock was put back by an hour since
    mine = update(form_table).where(form_table.c.id == scene.form.id)
    await execute(services.database, mine.values(created_at=ahead, submitted_at=ahead))
    made = [
        (await drafts.create(services, scene.form.type, {}, None, beginner=None))[0]
        for _ in range(5)
    ]
    assert [form.created_at for form in made] == [ahead + more for more in range(1, 6)]
    submitted = []
    for form in made:
        await services.database.write(forms.submit, form)
        submitted.append(await services.database.read(forms.get, form.id))
    moments = [form.submitted_at for form in submitted if form]
    assert moments == [ahead + more for more in range(1, 6)]


@pytest.mark.parametrize("status", ["draft", "submitted"])
async def test_a_form_that_is_purged_is_listed_no_more(scene: Scene, status: str) -> None:
    services = scene.services
    if status == "submitted":
        await scene.stored()
        await closing.submit(services, scene.form)
    everything = Wanted(form_type=None, status=None, reference=None, limit=10)
    wanted = [everything, replace(everything, form_type="acceptance")]
    wanted.append(replace(everything, status=status))
    for each in wanted:
        assert len((await list_page(services, each, None)).forms) == 1
    await closing.purge(services, scene.form, by=BACK_END)
    for each in wanted:
        assert (await list_page(services, each, None)).forms == []


async def test_nothing_of_the_person_is_in_the_records_once_the_form_is_purged(
    scene: Scene,
) -> None:
    services = scene.services
    form, _, _ = await drafts.create(
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
    await closing.purge(services, form, by=BACK_END)
    assert await _count(services, "personal") == 0
    assert await _count(services, upload.id) == 1, "its bytes are still to be unlinked"


async def _count(services: Services, words: str) -> int:
    """Rows of forms and uploads that have these words anywhere."""
    rows = [
        row
        for table in ("forms", "uploads")
        for row in await rows_of(services.database, f"SELECT * FROM {table}")  # noqa: S608 - ours
    ]
    return sum(words in str(row) for row in rows)
