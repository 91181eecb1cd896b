"""What the records say must be there is looked for, byte for byte, and what isn't is named."""

import dataclasses
import hashlib
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from api.inventory import write_inventory
from api.records import inventory
from api.records.rows import UploadRow
from api.uploads.admission import Admission
from api.uploads.resumable import Announced, begin
from api.uploads.reuse import reuse
from dev.ports import free_port
from shared.internal_api import Stored, StoredObject
from shared.volume import MARKER
from tests.support.s3 import BUCKET, S3Endpoint
from tests.support.services import Scene, given_back
from tests.support.starting import run, worker_settings
from worker.settings import Settings
from worker.verify import verify

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ALL = [
    "ok STAGING_DIR: 2 of 2 files are there with their SHA-256",
    "ok S3_BUCKET: 3 of 3 objects are there with their SHA-256",
]


@dataclasses.dataclass
class Kept:
    """Two uploads that wait, one that is stored with a derivative, and one that uses it again."""

    scene: Scene
    store: S3Endpoint
    waiting: UploadRow
    stored: UploadRow
    env: dict[str, str]

    @property
    def volume(self) -> Path:
        return self.scene.services.staging.root

    @property
    def file(self) -> Path:
        return self.volume / "staged" / self.waiting.id

    @property
    def key(self) -> str:
        """Of the derivative, which only one upload needs."""
        return str(self.stored.derivatives["thumb"]["key"])

    async def listed(self) -> str:
        out = StringIO()
        assert await write_inventory(self.scene.services.database, out) == []
        return out.getvalue()

    async def found(self, listed: str | None = None, **changed: str) -> list[str]:
        lines = StringIO(await self.listed() if listed is None else listed)
        given = {name.lower(): value for name, value in (self.env | changed).items()}
        found = await verify(Settings.model_validate(given), lines.readline)
        return [f"{each.level} {each}" for each in found]


@pytest.fixture
async def kept(scene: Scene, seaweedfs: S3Endpoint, tmp_path: Path) -> Kept:
    waiting = await scene.staged("pair", b"waits")
    other = await scene.staged("pair", b"waits, too")
    await scene.report(given_back(await scene.claimed(other)))
    order = await scene.claimed(await scene.staged("needed"))
    objects = {
        name: put(seaweedfs, f"{order.key_prefix}{name}.png", name.encode())
        for name in ("needed", "thumb")
    }
    stored = await scene.report(
        Stored(
            upload_id=order.upload_id,
            generation=order.generation,
            object=objects["needed"],
            derivatives={"thumb": objects["thumb"]},
        )
    )
    await use_again(scene, stored)
    env = worker_settings(
        tmp_path,
        STAGING_DIR=str(scene.services.staging.root),
        S3_ENDPOINT_URL=seaweedfs.url,
        S3_BUCKET=BUCKET,
        S3_ACCESS_KEY_ID=seaweedfs.access_key_id,
        S3_SECRET_ACCESS_KEY=seaweedfs.secret_access_key,
    )
    return Kept(scene, seaweedfs, waiting, stored, env)


def put(store: S3Endpoint, key: str, content: bytes) -> StoredObject:
    store.client.put_object(Bucket=BUCKET, Key=key, Body=content)
    digest = hashlib.sha256(content).hexdigest()
    return StoredObject(key=key, content_type="image/png", size=len(content), sha256=digest)


async def use_again(scene: Scene, stored: UploadRow) -> None:
    """In the same field: it takes the other's place once it is stored itself."""
    field = scene.services.form_types[scene.form.type].file_fields["needed"]
    admission = Admission(scene.services, scene.form, field, request_id="req", key=None)
    await reuse(scene.services, admission, stored.id)


async def test_all_that_is_there_is_counted_however_little_is_read_at_once(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "BATCH", 1)
    assert await kept.found() == ALL


def remove_file(kept: Kept) -> str:
    kept.file.unlink()
    return f"wrong {kept.waiting.id}: staged/{kept.waiting.id} is not on the volume"


def change_file(kept: Kept) -> str:
    kept.file.write_bytes(b"Waits")
    return f"wrong {kept.waiting.id}: staged/{kept.waiting.id} has other bytes than came"


def cut_file(kept: Kept) -> str:
    kept.file.write_bytes(b"wait")
    return f"wrong {kept.waiting.id}: staged/{kept.waiting.id} has other bytes than came"


def remove_object(kept: Kept) -> str:
    kept.store.client.delete_object(Bucket=BUCKET, Key=kept.key)
    return f"wrong {kept.stored.id}: {kept.key} is not in the bucket"


def change_object(kept: Kept) -> str:
    put(kept.store, kept.key, b"Thumb")
    return f"wrong {kept.stored.id}: {kept.key} has other bytes than were stored"


def take_another_volume(kept: Kept) -> str:
    (kept.volume / MARKER).write_text("another")
    return f"wrong STAGING_DIR: {kept.volume} is the volume of other records"


def take_no_volume(kept: Kept) -> str:
    (kept.volume / MARKER).unlink()
    return f"wrong STAGING_DIR: {kept.volume} has no marker (.longshore-volume)"


@pytest.mark.parametrize(
    "damage",
    [
        remove_file,
        change_file,
        cut_file,
        remove_object,
        change_object,
        take_another_volume,
        take_no_volume,
    ],
)
async def test_what_is_missing_or_has_other_bytes_is_named(
    kept: Kept, damage: Callable[[Kept], str]
) -> None:
    said = damage(kept)
    found = await kept.found()
    assert found[0] == said
    assert len(found) == 1 + len(ALL)


@pytest.mark.parametrize("lines", [0, 2, -1])
async def test_a_list_that_was_cut_short_is_never_taken_for_a_whole_one(
    kept: Kept, lines: int
) -> None:
    whole = (await kept.listed()).splitlines(keepends=True)
    for cut in ("".join(whole[:lines]), "".join(whole[:lines]) + '{"kind": "fi'):
        found = await kept.found(cut)
        assert found[0].startswith("wrong inventory: the list was cut short")


async def test_of_a_list_from_which_a_line_is_missing_the_end_tells(kept: Kept) -> None:
    whole = (await kept.listed()).splitlines(keepends=True)
    found = await kept.found("".join(whole[1:]))
    assert found[0].startswith("wrong inventory: the list was cut short")


async def test_a_store_that_is_away_is_one_line(kept: Kept) -> None:
    (line,) = await kept.found(S3_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    assert line.startswith("wrong S3_ENDPOINT_URL: nothing listens")


async def test_objects_that_may_not_be_read_are_not_taken_for_missing(kept: Kept) -> None:
    found = await kept.found(S3_ACCESS_KEY_ID="nobody")
    assert {line for line in found if "can't be read (GetObject: 403" in line} == set(found[:3])
    assert found[-1] == "wrong S3_BUCKET: 0 of 3 objects are there with their SHA-256"


def test_an_inventory_without_a_database_is_one_line_and_makes_none(
    tmp_path: Path, database_url: str
) -> None:
    ended = run("api.inventory", {"DATABASE_URL": database_url})
    assert (ended.status, ended.out) == (1, "")
    assert ended.lines[0].startswith("api: DATABASE_URL: there is no database")
    assert list(tmp_path.iterdir()) == []


async def test_what_is_still_arriving_is_not_looked_for(scene: Scene) -> None:
    services = scene.services
    field = services.form_types[scene.form.type].file_fields["bulk"]
    admission = Admission(services, scene.form, field, request_id="req")
    await begin(services, admission, Announced(5))
    out = StringIO()
    assert await write_inventory(services.database, out) == []
    assert '"count":0' in out.getvalue()
