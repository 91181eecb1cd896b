"""A listing that is read on while forms are submitted."""

import asyncio

from api import forms as use_forms
from api.records import forms
from api.records.rows import FormRow
from api.services import Services
from tests.support.commits import held_before_the_commit
from tests.support.services import Scene


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


async def test_no_two_forms_have_one_moment(scene: Scene) -> None:
    type_name = next(iter(scene.services.form_types))
    made = [
        await use_forms.create(scene.services, type_name, {}, None, beginner=None)
        for _ in range(20)
    ]
    assert len({form.created_at for form, _, _ in made}) == 20
