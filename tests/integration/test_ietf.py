"""The IETF's resumable uploads: begun with a 201, gone on with by PATCH, told from tus."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection

from api.records import uploads
from api.services import Services
from tests.support.listeners import new_form, public
from tests.support.tus import CONTENT, TUS, code_of, pieces

SPEAKS = {"Upload-Draft-Interop-Version": "8"}
PIECE = {**SPEAKS, "Content-Type": "application/partial-upload"}
HALF = len(CONTENT) // 2
NAMED = {"Content-Type": "application/pdf", "Content-Disposition": 'inline; filename="a.pdf"'}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/records.db"


async def create(
    client: httpx.AsyncClient, content: bytes | AsyncIterator[bytes], **headers: str
) -> httpx.Response:
    form = await new_form(client)
    path = f"/v1/forms/{form['id']}/fields/bulk/tus"
    return await client.post(path, content=content, headers={**SPEAKS, **NAMED, **headers})


async def send(
    client: httpx.AsyncClient, url: str, at: int, content: bytes, complete: str
) -> httpx.Response:
    headers = {**PIECE, "Upload-Offset": str(at), "Upload-Complete": complete}
    return await client.patch(url, content=content, headers=headers)


async def begun(client: httpx.AsyncClient, content: bytes = b"") -> str:
    answer = await create(
        client, content, **{"Upload-Complete": "?0", "Upload-Length": str(len(CONTENT))}
    )
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def test_an_upload_is_begun_gone_on_with_and_staged(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client, CONTENT[:HALF])
        found = (await client.get(url)).json()
        assert (found["filename"], found["declared_type"]) == ("a.pdf", "application/pdf")
        del client.headers["Authorization"]
        told = await client.head(url, headers=SPEAKS)
        assert (told.status_code, told.headers["upload-offset"]) == (204, str(HALF))
        assert (told.headers["upload-complete"], told.headers["upload-length"]) == (
            "?0",
            str(len(CONTENT)),
        )
        assert "max-age=" in told.headers["upload-limit"]
        assert told.headers["upload-draft-interop-version"] == "8"
        answer = await send(client, url, HALF, CONTENT[HALF:-5], "?0")
        assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?0")
        answer = await send(client, url, len(CONTENT) - 5, CONTENT[-5:], "?1")
        assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?1")
        told = await client.head(url, headers=SPEAKS)
        assert told.headers["upload-complete"] == "?1"
    digest = hashlib.sha256(CONTENT).hexdigest()
    row = await services.database.read(upload_of, url.rpartition("/")[2])
    assert row == ("staged", digest)


async def test_a_client_of_tus_may_tell_of_the_file_in_its_own_way(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        told = {
            "Upload-Metadata": "filename Yi5wZGY=,filetype YXBwbGljYXRpb24vcGRm",
            "Upload-Complete": "?0",
            "Upload-Length": "5",
        }
        path = f"/v1/forms/{form['id']}/fields/bulk/tus"
        answer = await client.post(path, headers={**SPEAKS, **told})
        found = (await client.get(answer.headers["location"])).json()
    assert (found["filename"], found["declared_type"]) == ("b.pdf", "application/pdf")


def upload_of(conn: Connection, upload_id: str) -> tuple[str, str | None] | None:
    row = uploads.get(conn, upload_id)
    return (row.status.value, row.sha256) if row else None


async def test_a_whole_file_may_come_with_its_beginning(services: Services) -> None:
    async with public(services) as client:
        answer = await create(client, CONTENT, **{"Upload-Complete": "?1"})
        assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?1")
        assert (await client.get(answer.headers["location"])).json()["status"] == "staged"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Upload-Complete": "?0"}, (400, "bad-request")),
        ({"Upload-Length": "5"}, (400, "bad-request")),
        ({"Upload-Complete": "true", "Upload-Length": "5"}, (400, "bad-request")),
        ({"Upload-Complete": "?1", "Upload-Length": "6"}, (400, "inconsistent-length")),
        ({"Upload-Complete": "?0", "Upload-Length": "4"}, (413, "request-too-large")),
        ({"Upload-Complete": "?0", "Upload-Length": "99999999999"}, (413, "file-too-large")),
    ],
)
async def test_a_beginning_that_does_not_fit_together_is_refused(
    services: Services, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    async with public(services) as client:
        answer = await create(client, b"12345", **headers)
        assert code_of(answer) == expected
        if expected[0] == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            assert "max-size=" in answer.headers["upload-limit"]


async def test_bytes_that_do_not_fit_are_refused_and_the_offset_is_told(
    services: Services,
) -> None:
    async with public(services) as client:
        url = await begun(client)
        assert code_of(await send(client, url, 0, b"x", "?1")) == (400, "inconsistent-length")
        answer = await send(client, url, 5, b"x", "?0")
        assert code_of(answer) == (409, "wrong-offset")
        assert answer.headers["upload-offset"] == "0"
        assert answer.headers["upload-complete"] == "?0"
        other = {**PIECE, "Upload-Offset": "0", "Upload-Complete": "?0", "Upload-Length": "7"}
        answer = await client.patch(url, content=b"x", headers=other)
        assert code_of(answer) == (400, "inconsistent-length")
        tus_type = {**SPEAKS, "Content-Type": "application/offset+octet-stream"}
        headers = {**tus_type, "Upload-Offset": "0", "Upload-Complete": "?0"}
        answer = await client.patch(url, content=b"x", headers=headers)
        assert code_of(answer) == (415, "unsupported-media-type")


async def test_a_whole_file_that_is_shorter_than_it_said_leaves_no_upload(
    services: Services,
) -> None:
    """Its client takes a 2xx for the end."""
    async with public(services) as client:
        said = {"Upload-Complete": "?1", "Upload-Length": str(len(CONTENT))}
        answer = await create(client, pieces(CONTENT[:HALF]), **said)
        assert code_of(answer) == (400, "inconsistent-length")
        assert answer.headers["upload-complete"] == "?0"
        form = str(answer.request.url).partition("/fields")[0]
        listed = (await client.get(form)).json()["uploads"]["bulk"]
    assert listed == []


@pytest.mark.parametrize("name", ["sha256", "sha512"])
async def test_a_body_of_another_digest_is_discarded(services: Services, name: str) -> None:
    digest = base64.b64encode(hashlib.new(name, CONTENT[:5]).digest()).decode()
    said = {**PIECE, "Upload-Offset": "0", "Upload-Complete": "?0"}
    headers = {**said, "Content-Digest": f"{name[:3]}-{name[3:]}=:{digest}:, other=:AAAA:"}
    async with public(services) as client:
        url = await begun(client)
        answer = await client.patch(url, content=CONTENT[1:6], headers=headers)
        assert code_of(answer) == (460, "checksum-mismatch")
        assert answer.headers["upload-complete"] == "?0"
        assert (await client.head(url, headers=SPEAKS)).headers["upload-offset"] == "0"
        answer = await client.patch(url, content=CONTENT[:5], headers=headers)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, "5")


async def test_a_digest_that_cannot_be_read_is_refused(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        headers = {**PIECE, "Upload-Offset": "0", "Upload-Complete": "?0"}
        for sent in ("sha-256", "sha-256=AAAA", "sha-256=:*:"):
            wrong = {**headers, "Content-Digest": sent}
            answer = await client.patch(url, content=b"x", headers=wrong)
            assert code_of(answer) == (400, "bad-request")


async def test_an_upload_that_gets_more_than_it_has_is_over(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client, CONTENT[:HALF])
        answer = await send(client, url, HALF, CONTENT, "?0")
        assert code_of(answer) == (413, "request-too-large")
        assert (await client.head(url, headers=SPEAKS)).status_code == 410


async def test_how_large_a_file_may_be_is_told_the_same_from_first_to_last(
    services: Services,
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        path = f"/v1/forms/{form['id']}/fields/bulk/tus"
        said = {**SPEAKS, "Upload-Complete": "?0", "Upload-Length": "5"}
        answers = [await client.options(path), await client.post(path, headers=said)]
        answers.append(await client.head(answers[1].headers["location"], headers=SPEAKS))
    limits = [each.headers["upload-limit"].partition(",")[0] for each in answers]
    assert limits == ["max-size=2200000000"] * 3


async def test_where_an_upload_stands_is_told_by_get_too(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client, CONTENT[:HALF])
        told = await client.get(url, headers=SPEAKS)
    assert (told.status_code, told.headers["upload-offset"]) == (204, str(HALF))


async def test_who_speaks_tus_is_answered_in_tus(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        answer = await client.head(url, headers={**TUS, **SPEAKS})
    assert (answer.status_code, answer.headers["tus-resumable"]) == (200, "1.0.0")
