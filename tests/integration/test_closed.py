"""A form that is sent or purged takes no more writes, whatever who writes saw of it before."""

from collections.abc import Awaitable, Callable

import pytest

from api.access.tokens import PERSON, Actor
from api.forms import closing, sections
from api.records.rows import UploadRow
from api.texts.errors import Problem
from api.uploads.admission import Admission
from api.uploads.release import release
from api.uploads.retry_or_remove import remove, retry
from api.uploads.reuse import reuse
from shared.status import UploadStatus
from tests.support.services import BACK_END, Scene

pytestmark = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
Write = Callable[[Scene, UploadRow, Actor], Awaitable[object]]


async def _save(scene: Scene, _: UploadRow, __: Actor) -> object:
    edits = sections.Edits(text={"note": "late"})
    return await sections.save(scene.services, scene.form, edits, if_match=None, request_id="r")


async def _reuse(scene: Scene, upload: UploadRow, _: Actor) -> object:
    field = scene.services.form_types[scene.form.type].file_fields["pair"]
    admission = Admission(scene.services, scene.form, field, request_id="r", key="k")
    return await reuse(scene.services, admission, upload.id)


OF_THE_PERSON: dict[str, Write] = {
    "save": _save,
    "reuse": _reuse,
    "submit": lambda scene, _, __: closing.submit(scene.services, scene.form),
}
OF_BOTH: dict[str, Write] = {
    "retry": lambda scene, upload, by: retry(scene.services, upload, by=by),
    "remove": lambda scene, upload, by: remove(scene.services, upload, by=by),
    "purge": lambda scene, _, by: closing.purge(scene.services, scene.form, by=by),
}
OF_THE_BACK_END: dict[str, Write] = {
    "release": lambda scene, upload, _: release(scene.services, upload, by=BACK_END)
}
WRITES = OF_THE_PERSON | OF_BOTH | OF_THE_BACK_END


@pytest.mark.parametrize("write", [*OF_THE_PERSON, *OF_BOTH])
async def test_once_a_form_is_sent_the_person_changes_nothing(scene: Scene, write: str) -> None:
    upload = await scene.stored()
    if write == "reuse":  # a key that was used before is no way around it
        await _reuse(scene, upload, PERSON)
        await scene.set_all(status=UploadStatus.STORED)
    await closing.submit(scene.services, scene.form)
    if write == "retry":
        await _fail(scene)
    before = await scene.now(upload)
    with pytest.raises(Problem, match="form-submitted"):
        await WRITES[write](scene, upload, PERSON)
    assert await scene.now(upload) == before


@pytest.mark.parametrize("write", OF_BOTH)
async def test_and_the_back_end_may_all_the_same(scene: Scene, write: str) -> None:
    upload = await scene.stored()
    await closing.submit(scene.services, scene.form)
    if write == "retry":
        await _fail(scene)
    await WRITES[write](scene, upload, BACK_END)
    assert (await scene.now(upload)).status in (UploadStatus.STAGED, UploadStatus.REMOVED)


@pytest.mark.parametrize("write", WRITES)
async def test_once_a_form_is_purged_nobody_finds_it(scene: Scene, write: str) -> None:
    upload = await scene.stored()
    await closing.purge(scene.services, scene.form, by=PERSON)
    for by in (PERSON, BACK_END):
        with pytest.raises(Problem, match="not-found"):
            await WRITES[write](scene, upload, by)


async def _fail(scene: Scene) -> None:
    error = {"code": "deadline-passed", "retryable": True}
    await scene.set_all(status=UploadStatus.FAILED, bytes="kept", error=error)
