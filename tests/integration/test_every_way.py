"""What holds whichever way a file is sent: on its own, with a section, from an HTML form.

One api for all of it, in this process: which database it has makes no difference here.
"""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from redis import Redis
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect

from api import forms as use_forms
from api import uploads as use_uploads
from api.auth import ServiceKey
from api.deps import own_form, own_upload
from api.http import middleware
from api.receive.sections import MAX_FILES, MAX_TEXT_BYTES
from api.records.rows import UploadRow
from api.services import Services
from shared.ids import new_id
from shared.internal_api import Retry
from shared.jobs import QUEUE_NAME, promote_job_id
from shared.volume import MARKER
from tests.support.compose import run_redis
from tests.support.listeners import SECRET, internal, new_form, public
from tests.support.services import Scene, services_on
from tests.support.ways import ALONE, WAYS, send

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE = 30.0
"""Seconds after which something never comes; everything here takes a moment."""
CONTENT = b"the bytes of a file" * 200
MOST = 20_000
"""Bytes that a form may hold here."""
LEAST = 1000
"""Bytes that stay free on the volume."""
Part = tuple[str, tuple[str | None, bytes]]
each_way = pytest.mark.parametrize("way", list(WAYS))


class Begun:
    """A form of a client that holds its token, and the same form as the use cases see it."""

    def __init__(self, client: httpx.AsyncClient, form: dict[str, Any], scene: Scene) -> None:
        self.client = client
        self.form = form
        self.path = f"/v1/forms/{form['id']}"
        self.scene = scene
        self._files_before = self._files()

    async def send(self, way: str, content: bytes = CONTENT, **how: Any) -> httpx.Response:
        async with asyncio.timeout(PATIENCE):
            return await send(self.client, self.form, way, content, **how)

    async def reuse(self, upload: UploadRow) -> httpx.Response:
        path = f"{self.path}/fields/pair/uploads"
        return await self.client.post(path, json={"from": upload.id})

    async def row(self, upload_id: str) -> UploadRow:
        return await own_upload(self.scene.services, ServiceKey("tests"), upload_id)

    def files(self) -> set[str]:
        """What the volume holds besides what it held when this began."""
        return self._files() - self._files_before

    def _files(self) -> set[str]:
        root = self.scene.services.staging.root
        return {path.name for path in (*root.glob("incoming/*"), *root.glob("staged/*"))}


@asynccontextmanager
async def _begin(services: Services) -> AsyncIterator[Begun]:
    async with public(services) as client:
        form = await new_form(client)
        row = await own_form(services, ServiceKey("tests"), form["id"])
        yield Begun(client, form, Scene(services, row))


@asynccontextmanager
async def _services(factory: pytest.TempPathFactory, **settings: object) -> AsyncIterator[Services]:
    folder = factory.mktemp("every_way")
    url = f"sqlite+aiosqlite:///{folder}/records.db"
    async with services_on(folder, url, **settings) as services:
        yield services


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    bounds = {"max_form_bytes": MOST, "min_free_bytes": LEAST}
    async with _services(tmp_path_factory, **bounds) as services:
        yield services


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with _services(tmp_path_factory, receive_idle_seconds=0.1) as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def begun(services: Services) -> AsyncIterator[Begun]:
    async with _begin(services) as begun:
        yield begun


# --- the volume


@each_way
@pytest.mark.parametrize("marker", [None, "vol_another"], ids=["not mounted", "another's"])
async def test_a_volume_that_is_not_the_records_own_takes_no_file(
    begun: Begun, way: str, marker: str | None
) -> None:
    with _marked(begun, marker):
        answer = await begun.send(way)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert begun.files() == set()


async def test_nor_is_a_file_of_it_used_again(begun: Begun) -> None:
    earlier = await begun.scene.staged()
    with _marked(begun, "vol_another"):
        answer = await begun.reuse(earlier)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert begun.files() == {earlier.id}


@contextmanager
def _marked(begun: Begun, marker: str | None) -> Iterator[None]:
    path = begun.scene.services.staging.root / MARKER
    own = path.read_text()
    path.unlink()
    if marker:
        path.write_text(marker)
    try:
        yield
    finally:
        path.write_text(own)


@each_way
async def test_a_file_for_which_the_volume_has_no_room_is_refused_before_it_comes(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    _leave(monkeypatch, LEAST + len(CONTENT) - 1)

    async def nothing_came() -> None:
        assert begun.files() == set()

    answer = await begun.send(way, midway=nothing_came)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
    assert int(answer.headers["retry-after"]) > 0
    assert begun.files() == set()


@each_way
async def test_the_room_of_a_file_that_is_under_way_is_nobody_elses(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    space = begun.scene.services.staging.space
    _leave(monkeypatch, LEAST + 2 * len(CONTENT))
    while_under_way = []

    async def look() -> None:
        while_under_way.append(space._promised_bytes >= len(CONTENT) and space._promised_files)

    assert (await begun.send(way, midway=look)).is_success or way == "HTML form"
    assert while_under_way == [1]
    assert (space._promised_bytes, space._promised_files) == (0, 0), "and then it is given back"


async def test_a_file_that_is_used_again_needs_room_too(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = await begun.scene.staged()
    _leave(monkeypatch, LEAST - 1)
    answer = await begun.reuse(earlier)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
    assert begun.files() == {earlier.id}


def _leave(patch: pytest.MonkeyPatch, free: int) -> None:
    """So many bytes on every volume."""
    fields = list(os.statvfs("/"))[:10]
    fields[1], fields[3], fields[4] = 1, free, free  # size of a fragment; free ones, and available
    patch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))


# --- what changes while the body is under way


@each_way
async def test_a_form_that_is_submitted_meanwhile_takes_the_file_no_more(
    begun: Begun, way: str
) -> None:
    stored = await begun.scene.stored()

    async def submit() -> None:
        await use_forms.submit(begun.scene.services, begun.scene.form)

    answer = await begun.send(way, midway=submit)
    assert (answer.status_code, answer.json()["code"]) == (409, "form-submitted")
    assert begun.files() == {stored.id}


@each_way
async def test_a_form_that_is_purged_meanwhile_takes_the_file_no_more(
    begun: Begun, way: str
) -> None:
    async def purge() -> None:
        await use_forms.purge(begun.scene.services, begun.scene.form, always=False)

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
        await use_uploads.acknowledge(
            begun.scene.services, begun.scene.form.id, field, received, request_id="r", key="key"
        )

    answer = await begun.send("raw", midway=take_the_key)
    assert (answer.status_code, answer.json()["code"]) == (422, "key-reused")
    assert begun.files() == {received.staged.name}


async def test_who_begins_several_drafts_at_once_begins_no_more_than_may_be(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    all_have_asked = asyncio.Barrier(4)

    async def body() -> AsyncIterator[bytes]:
        await all_have_asked.wait()
        yield b'{"type":"acceptance"}'

    async with (
        _services(tmp_path_factory, max_drafts_per_hour=2) as services,
        public(services) as client,
        asyncio.timeout(PATIENCE),
    ):
        answers = await asyncio.gather(
            *(client.post("/v1/forms", headers=JSON, content=body()) for _ in range(4))
        )
    assert sorted(each.status_code for each in answers) == [201, 201, 429, 429]


# --- what is refused leaves nothing


@pytest.mark.parametrize("way", ALONE)
async def test_a_file_of_another_digest_leaves_nothing(begun: Begun, way: str) -> None:
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    answer = await begun.send(way, headers={"Repr-Digest": f"sha-256=:{other}:"})
    assert (answer.status_code, answer.json()["code"]) == (422, "digest-mismatch")
    assert begun.files() == set()


@each_way
async def test_a_client_that_goes_away_leaves_nothing(
    begun: Begun, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.staging.SMALL", 1000)
    written = []

    async def go() -> None:
        async with asyncio.timeout(30):
            while not begun.files():  # noqa: ASYNC110 - a thread makes it, and rings no bell
                await asyncio.sleep(0.01)
        written.append(begun.files())
        raise ClientDisconnect

    await begun.send(way, bytes(15_000), field="bulk", midway=go)
    assert [len(files) for files in written] == [1]
    assert begun.files() == set()


@pytest.mark.parametrize("way", ["section", "HTML form"])
async def test_of_files_that_are_sent_together_none_stays_when_the_last_fails(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    fsync, synced = os.fsync, 0

    def failing(fd: int) -> None:
        nonlocal synced
        if not Path(f"/proc/self/fd/{fd}").is_dir():
            synced += 1
            if synced == 3:
                raise OSError(5, "no more")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", failing)
    files = [
        (field, ("a.png", b"small", "image/png")) for field in ("pair", "needed", "pair", "bulk")
    ]
    answer = await begun.client.request(WAYS[way].method, begun.path, files=files)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert begun.files() == set()


@each_way
async def test_a_file_over_its_fields_limit_leaves_nothing(begun: Begun, way: str) -> None:
    answer = await begun.send(way, bytes(3000), field="tiny")
    if way in ALONE:
        assert (answer.status_code, answer.json()["code"]) == (413, "file-too-large")
    assert begun.files() == set()


@pytest.mark.parametrize("way", ["section", "HTML form"])
@pytest.mark.parametrize("what", ["files", "text", "texts"])
async def test_more_than_a_section_may_hold_is_refused_and_leaves_nothing(
    impatient: Services, way: str, what: str
) -> None:
    named = [f"{n}.png" for n in range(MAX_FILES + 1)]
    files: list[Part] = [("needed", (name, b"a file")) for name in named]
    texts = [b"x" * (MAX_TEXT_BYTES + 1)] if what == "text" else [b"x" * MAX_TEXT_BYTES] * 5
    beside: list[Part] = [("note", (None, text)) for text in texts]
    parts = files if what == "files" else [*files[:1], *beside]
    async with _begin(impatient) as begun:
        answer = await begun.client.request(WAYS[way].method, begun.path, files=parts)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
        assert begun.files() == set()


@pytest.mark.parametrize("control", ["section", "go", "remove"])
async def test_a_post_that_asks_for_what_there_isnt_leaves_no_file(
    begun: Begun, control: str
) -> None:
    files = {"pair": ("a.png", CONTENT, "image/png")}
    answer = await begun.client.post(begun.path, data={control: "nothing"}, files=files)
    assert answer.status_code in (404, 422)
    assert begun.files() == set()


async def test_in_the_signup_a_refused_first_post_and_a_file_sent_again_leave_none(
    services: Services,
) -> None:
    async with _begin(services) as begun, public(services) as browser:
        files = {"headshot": ("a.png", CONTENT, "image/png")}

        async def post(path: str, section: str) -> int:
            sent = {"section": section, "full_name": "Ada"}
            headers = {"Origin": "http://public", "Accept": "text/html"}
            answer = await browser.post(path, data=sent, files=files, headers=headers)
            return answer.status_code

        assert await post("/", "nowhere") == 422
        assert begun.files() == set()
        for _ in range(2):  # the second time as who goes back in the browser does
            assert await post("/", "about") == 303
            assert len(begun.files()) == 1


@pytest.mark.parametrize("way", ["section", "HTML form"])
async def test_one_request_never_exceeds_what_its_field_takes(begun: Begun, way: str) -> None:
    files = [("pair", (f"{n}.png", bytes([n]), "image/png")) for n in range(4)]
    await begun.client.request(WAYS[way].method, begun.path, files=files)
    sent = (await begun.client.get(begun.path)).json()["uploads"]["pair"]
    assert [each["status"] for each in sent] == ["staged", "staged", "rejected", "rejected"]
    assert {each["error"]["code"] for each in sent[2:]} == {"too-many-files"}
    assert begun.files() == {each["id"] for each in sent[:2]}


@pytest.mark.parametrize("way", ["section", "HTML form"])
async def test_nor_what_the_form_may_hold(begun: Begun, way: str) -> None:
    content = bytes(MOST // 2 + 1)
    files = [("needed", (f"{n}.png", content, "image/png")) for n in range(2)]
    await begun.client.request(WAYS[way].method, begun.path, files=files)
    (sent,) = (await begun.client.get(begun.path)).json()["uploads"]["needed"]
    assert begun.files() == {sent["id"]}


async def test_a_value_that_is_taken_away_takes_no_other_fields_files(begun: Begun) -> None:
    gone, kept = await begun.scene.staged("pair"), await begun.scene.staged("needed")
    read = (await begun.client.patch(begun.path, json={"pair": None})).json()["uploads"]
    assert ([each["id"] for each in read["needed"]], read["pair"]) == ([kept.id], [])
    assert (await begun.scene.now(gone)).status == "removed"


# --- bodies without end


@each_way
async def test_a_file_that_stops_coming_is_cut_off(impatient: Services, way: str) -> None:
    async with _begin(impatient) as begun:
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
    await use_forms.submit(begun.scene.services, begun.scene.form)
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


# --- the worker is woken at once


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with run_redis(tmp_path_factory.mktemp("redis")) as (env, _, port):
        client = Redis("127.0.0.1", port, password=env["REDISCLI_AUTH"])
        while True:
            try:
                client.ping()
                break
            except RedisError:
                continue
        yield client
        client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def waking(tmp_path_factory: pytest.TempPathFactory, redis: Redis) -> AsyncIterator[Services]:
    """Nothing sweeps here: who is woken was woken by the request itself."""
    named = redis.connection_pool.connection_kwargs
    url = f"redis://:{named['password']}@127.0.0.1:{named['port']}/0"
    async with _services(tmp_path_factory, redis_url=url) as services:
        yield services


async def _is_woken(redis: Redis, row: UploadRow) -> None:
    async with asyncio.timeout(PATIENCE):
        while redis.zscore(QUEUE_NAME, promote_job_id(row.id, row.wake)) is None:  # noqa: ASYNC110 - Redis sets no event
            await asyncio.sleep(0.01)


@each_way
async def test_a_worker_is_woken_for_a_file_at_once(
    waking: Services, redis: Redis, way: str
) -> None:
    async with _begin(waking) as begun:
        assert (await begun.send(way)).status_code in (201, 202, 303)
        (upload_id,) = begun.files()
        await _is_woken(redis, await begun.row(upload_id))


async def test_and_so_it_is_for_one_that_is_used_again_or_handed_on_or_tried_again(
    waking: Services, redis: Redis
) -> None:
    async with _begin(waking) as begun:
        scene = begun.scene
        first = await scene.staged("pair")
        again = (await begun.reuse(first)).json()
        await _is_woken(redis, await begun.row(again["id"]))
        order = await scene.claimed(first)
        ids = {"upload_id": first.id, "generation": order.generation}
        await _is_woken(redis, await scene.report(Retry(**ids, cause="shutdown", counted=False)))
        await scene.set_all(status="failed", error={"code": "deadline-passed", "retryable": True})
        await _is_woken(redis, await use_uploads.retry(waking, first, always=False))
