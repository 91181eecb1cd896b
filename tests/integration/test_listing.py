"""A listing that is read on while forms are submitted."""

import asyncio

from sqlalchemy import update

from api import forms as use_forms
from api.records import forms
from api.records.rows import FormRow
from api.records.tables import forms as form_table
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


async def test_no_two_forms_have_one_moment_though_the_clock_stands_still(scene: Scene) -> None:
    services = scene.services
    ahead = scene.form.created_at + 3_600_000  # the clock was put back by an hour since
    async with services.database.write() as tx:
        await tx.conn.execute(
            update(form_table)
            .where(form_table.c.id == scene.form.id)
            .values(created_at=ahead, submitted_at=ahead)
        )
    made = [
        (await use_forms.create(services, scene.form.type, {}, None, beginner=None))[0]
        for _ in range(5)
    ]
    assert [form.created_at for form in made] == [ahead + more for more in range(1, 6)]
    submitted = []
    for form in made:
        async with services.database.write() as tx:
            await forms.submit(tx, form)
        async with services.database.read() as conn:
            submitted.append(await forms.get(conn, form.id))
    moments = [form.submitted_at for form in submitted if form]
    assert moments == [ahead + more for more in range(1, 6)]
