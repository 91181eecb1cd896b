"""What clients ask again and again: read once, and nothing made of what isn't sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.access.tokens import PERSON, ServiceKey
from api.forms import closing
from api.routes.deps import own_form
from api.services import Services
from tests.support import tus
from tests.support.client import problem
from tests.support.listeners import new_form, public, send
from tests.support.plans import captured
from tests.support.round_trips import counted
from tests.support.services import services_on
from tests.support.sql import execute

KINDS = ("upload", "form")
KEY = "secret-of-the-application"


@asynccontextmanager
async def polled(services: Services, kind: str) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A client with a form's token, and the path of the form or of an upload in it."""
    async with public(services) as client:
        form = await new_form(client)
        upload = (await send(client, form, b"bytes")).json()
        paths = {"upload": f"/v1/uploads/{upload['id']}", "form": f"/v1/forms/{form['id']}"}
        yield client, paths[kind]


def has(answer: httpx.Response, **more: str) -> dict[str, str]:
    """Headers of who has this answer already."""
    return {"If-None-Match": answer.headers["etag"], **more}


@pytest.mark.parametrize(("kind", "statements"), [("upload", 1), ("form", 2)])
async def test_a_poll_is_one_statement_and_another_one_for_the_uploads_of_a_form_that_changed(
    services: Services, kind: str, statements: int
) -> None:
    async with polled(services, kind) as (client, path):
        with captured(services.database) as first:
            known = await client.get(path)
        with captured(services.database) as again:
            assert (await client.get(path, headers=has(known))).status_code == 304
        with captured(services.database) as at_once:
            final = await client.get(path, headers={"Prefer": "wait=20", "If-None-Match": '"0"'})
    assert known.json() == final.json()
    assert [len(first), len(again), len(at_once)] == [statements, 1, statements]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("kind", "trips"), [("upload", 1), ("form", 2)])
async def test_a_poll_is_as_many_round_trips(
    tmp_path: Path, database_url: str, kind: str, trips: int
) -> None:
    async with (
        counted(database_url) as (address, turns),
        services_on(tmp_path, address) as services,
        polled(services, kind) as (client, path),
    ):
        taken = []
        for host in ("first", "again"):  # the first has its statements prepared
            before = turns.taken
            known = await client.get(path, headers={"Host": host})
            changed = turns.taken
            assert (await client.get(path, headers=has(known))).status_code == 304
            taken.append((changed - before, turns.taken - changed))
    assert taken[-1] == (trips, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("upload", "UPDATE uploads SET notices = 'no JSON'"),
        ("form", "UPDATE forms SET data = 'no JSON'"),
        ("form", "UPDATE uploads SET notices = 'no JSON'"),
    ],
)
async def test_what_isnt_sent_isnt_read(services: Services, kind: str, broken: str) -> None:
    async with polled(services, kind) as (client, path):
        known = await client.get(path)
        await execute(services.database, broken)
        assert (await client.get(path, headers=has(known))).status_code == 304
        # For another host, as its answer has other addresses, and isn't one that was made before.
        assert (await client.get(path, headers={"Host": "another"})).status_code == 500


@pytest.mark.parametrize("kind", KINDS)
async def test_who_says_nothing_of_what_it_has_is_sent_the_same_again_and_nothing_is_read_for_it(
    services: Services, kind: str
) -> None:
    async with polled(services, kind) as (client, path):
        known = await client.get(path)
        with captured(services.database) as again:
            same = await client.get(path)
        elsewhere = await client.get(path, headers={"Host": "elsewhere"})
    assert (same.content, dict(same.headers) | {"x-request-id": ""}) == (
        known.content,
        dict(known.headers) | {"x-request-id": ""},
    )
    assert len(again) == 1
    assert elsewhere.text == known.text.replace("http://public/", "http://elsewhere/")


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_changes_in_it_is_shown_at_once(services: Services, kind: str) -> None:
    """Also what gives it no new version."""
    of_upload = [
        ("UPDATE uploads SET filename = 'b.png'", '"b.png"'),
        ("""UPDATE uploads SET notices = '[{"code": "x-ray", "detail": ""}]'""", '"x-ray"'),
        ("UPDATE uploads SET status = 'processing'", '"processing"'),
        ("UPDATE uploads SET updated_at = 0", '"1970-01-01T00:00:00.000Z"'),
    ]
    of_form = [
        ("UPDATE forms SET reference = 'their-own'", '"their-own"'),
        ("""UPDATE forms SET data = '{"name": "Ada"}'""", '"Ada"'),
        ("UPDATE forms SET edited_at = -999999999999", '"19'),
        ("UPDATE forms SET updated_at = 0", '"1970-01-01T00:00:00.000Z"'),
    ]
    async with polled(services, kind) as (client, path):
        for change, shown in of_upload if kind == "upload" else of_form:
            assert shown not in (await client.get(path)).text
            await execute(services.database, change)
            assert shown in (await client.get(path)).text


async def test_bytes_of_a_resumable_upload_are_shown_in_its_form_at_once(
    services: Services,
) -> None:
    async with public(services) as client:
        url = await tus.begun(client)
        form_id, shown = (await client.get(url)).json()["form_id"], []
        for offset in (0, 1000):
            await tus.send(client, url, offset, tus.CONTENT[offset : offset + 1000])
            found = (await client.get(f"/v1/forms/{form_id}")).json()["uploads"]
            shown.append(found["bulk"][0]["progress"]["received"])
    assert shown == [1000, 2000]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_may_poll_is_who_may_read(tmp_path: Path, database_url: str, kind: str) -> None:
    def by(token: str, path: str) -> Any:
        return client.get(path, headers={"Authorization": f"Bearer {token}"})

    async with (
        services_on(tmp_path, database_url, api_keys=(f"app:{KEY}",)) as services,
        polled(services, kind) as (client, path),
        public(services) as other,
    ):
        anothers = (await new_form(other))["token"]
        assert (await client.get(path)).json() == (await by(KEY, path)).json()
        nowhere = f"{path[:-26]}{26 * 'a'}"
        for missing in (nowhere, f"{path}x"):
            problem(await client.get(missing), 404, "not-found")
            problem(await by(KEY, missing), 404, "not-found")
        for there in (path, nowhere, f"{path}x"):
            problem(await by("lst_nobodys", there), 401, "unauthorized")
            problem(await by(anothers, there), 404, "not-found")
            problem(await other.get(there, headers={"Authorization": ""}), 401, "unauthorized")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_being_purged_is_shown_to_nobody(
    tmp_path: Path, database_url: str, kind: str
) -> None:
    async with (
        services_on(tmp_path, database_url, api_keys=(f"app:{KEY}",)) as services,
        polled(services, kind) as (client, path),
    ):
        known = await client.get(path)
        form_id = known.json()["form_id" if kind == "upload" else "id"]
        form = await own_form(services, ServiceKey("app"), form_id)
        await closing.purge(services, form, by=PERSON)
        for token in (client.headers["Authorization"], f"Bearer {KEY}"):
            headers = has(known, Authorization=token)
            problem(await client.get(path, headers=headers), 404, "not-found")
