"""What is refused leaves nothing on the volume, and takes nothing else along."""

import asyncio
import base64
import hashlib
import os
from pathlib import Path

import pytest
from starlette.requests import ClientDisconnect

from api.receive.sections import MAX_ALL_TEXT_BYTES, MAX_FILES, MAX_TEXT_BYTES
from api.services import Services
from tests.support.begun import CONTENT, MOST, Begun, begin, each_way
from tests.support.listeners import public
from tests.support.ways import ALONE, WAYS

pytestmark = pytest.mark.asyncio(loop_scope="module")
Part = tuple[str, tuple[str | None, bytes]]


@pytest.mark.parametrize("way", ALONE)
async def test_a_file_of_another_digest_leaves_nothing(begun: Begun, way: str) -> None:
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    answer = await begun.send(way, headers={"Repr-Digest": f"sha-256=:{other}:"})
    assert (answer.status_code, answer.json()["code"]) == (422, "digest-mismatch")
    assert begun.files() == set()


@each_way
async def test_a_client_that_goes_away_leaves_nothing(begun: Begun, way: str) -> None:
    begun.scene.services.staging.small = 1000
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
    async with begin(impatient) as begun:
        answer = await begun.client.request(WAYS[way].method, begun.path, files=parts)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
        assert begun.files() == set()


@pytest.mark.parametrize("texts", [1, MAX_ALL_TEXT_BYTES // MAX_TEXT_BYTES])
async def test_as_much_text_as_a_section_may_hold_is_taken(impatient: Services, texts: int) -> None:
    parts: list[Part] = [("note", (None, b"x" * MAX_TEXT_BYTES))] * texts
    async with begin(impatient) as begun:
        answer = await begun.client.patch(begun.path, files=parts)
        assert answer.status_code == 200, answer.text


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
    async with begin(services) as begun, public(services) as browser:
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
