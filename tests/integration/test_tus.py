"""tus on the real application: what it answers, and what becomes of the bytes."""

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from api.receive.body import ClientGone
from api.records.tables import forms
from api.services import Services
from api.texts.errors import Problem
from api.upkeep.backlog_figures import Backlog
from shared.ids import new_id
from shared.volume import STAGED
from tests.support.listeners import new_form, public
from tests.support.postgres import new_database
from tests.support.sql import execute
from tests.support.tus import BYTES, CONTENT, TUS, begun, code_of, pieces, send, stands


# What the databases have to do with it is in test_resumable.py.
@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    postgres, migrated = map(request.getfixturevalue, ("postgres", "migrated"))
    return new_database(postgres, "records", like=migrated)


async def test_bytes_that_come_in_several_requests_are_one_staged_file(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        for at in range(0, len(CONTENT), 100_000):
            end = min(at + 100_000, len(CONTENT))
            answer = await send(client, url, at, CONTENT[at:end])
            assert answer.status_code == 204, answer.text
            assert answer.headers["upload-offset"] == str(end)
        found = (await client.get(url)).json()
    assert found["status"] == "staged"
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (services.settings.staging_dir / STAGED / found["id"]).read_bytes() == CONTENT


async def test_where_an_upload_stands_is_told_without_a_credential_and_nothing_else(
    services: Services,
) -> None:
    async with public(services) as client:
        url = await begun(client, **{"Upload-Metadata": "filename YS5wZGY=,relativePath"})
        del client.headers["Authorization"]
        answer = await stands(client, url)
        assert answer.status_code == 200
        assert answer.headers["upload-offset"] == "0"
        assert answer.headers["upload-length"] == str(len(CONTENT))
        assert answer.headers["upload-metadata"] == "filename YS5wZGY=,relativePath"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert parsedate_to_datetime(answer.headers["upload-expires"]) > datetime.now(UTC)
        assert (await send(client, url, 0, CONTENT[:10])).status_code == 204
        assert (await client.get(url)).status_code == 401
        assert (await client.delete(url, headers=TUS)).status_code == 401


async def test_bytes_that_came_are_told_with_those_on_the_volume(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT[:1000])
    waiting = await Backlog(services.database, services.settings).read()
    assert waiting
    assert waiting.on_volume["receiving"].size == 1000


async def test_creation_may_bring_bytes(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        path = f"/v1/forms/{form['id']}/fields/bulk/tus"
        answer = await client.post(
            path, content=CONTENT, headers={**BYTES, "Upload-Length": str(len(CONTENT))}
        )
        assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(CONTENT)))
        assert (await client.get(answer.headers["location"])).json()["status"] == "staged"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Tus-Resumable": "0.2.2"}, (412, "tus-version")),
        ({"Upload-Length": "x"}, (400, "bad-request")),
        ({"Upload-Length": "-1"}, (400, "bad-request")),
        ({"Upload-Defer-Length": "1"}, (400, "bad-request")),
        ({"Upload-Concat": "partial"}, (400, "bad-request")),
        ({"Upload-Length": "0"}, (422, "file-empty")),
        ({"Upload-Length": "99999999999"}, (413, "file-too-large")),
        ({"Upload-Metadata": "filename ???"}, (400, "bad-request")),
        ({"Upload-Metadata": "filename YQ==,filename Yg=="}, (400, "bad-request")),
        ({"Upload-Metadata": "filename \xe9"}, (400, "bad-request")),
        ({"Upload-Metadata": "sha256 YQ=="}, (400, "bad-request")),
        ({"Upload-Metadata": "sha256 /w=="}, (400, "bad-request")),
        ({"Upload-Checksum": "sha1 \xe9"}, (400, "bad-request")),
        ({"Upload-Checksum": "crc32 YQ=="}, (400, "bad-request")),
        ({"Upload-Checksum": "sha1"}, (400, "bad-request")),
        ({"Content-Range": "bytes 0-4/10"}, (400, "fragment-not-supported")),
    ],
)
async def test_what_can_be_refused_is_before_a_byte(
    services: Services, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        answer = await client.post(
            f"/v1/forms/{form['id']}/fields/bulk/tus",
            headers=httpx.Headers({**TUS, "Upload-Length": "5", **headers}, encoding="latin-1"),
        )
        assert code_of(answer) == expected
        assert answer.headers["tus-resumable"] == "1.0.0"
        if expected[0] == 412:
            assert answer.headers["tus-version"] == "1.0.0"
        listed = (await client.get(f"/v1/forms/{form['id']}")).json()["uploads"]["bulk"]
    assert listed == []


async def test_bytes_at_another_offset_are_refused_and_the_right_one_is_told(
    services: Services,
) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT[:1000])
        answer = await send(client, url, 0, CONTENT[:1000])
        assert code_of(answer) == (409, "wrong-offset")
        assert answer.headers["upload-offset"] == "1000"


async def test_of_more_bytes_than_were_announced_none_are_kept(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        assert code_of(await send(client, url, 0, CONTENT + b"x")) == (413, "request-too-large")
        answer = await send(client, url, 0, pieces(CONTENT, b"x"))
        assert code_of(answer) == (413, "request-too-large")
        assert (await stands(client, url)).headers["upload-offset"] == "0"
        assert (await client.get(url)).json()["status"] == "receiving"


async def test_behind_the_last_byte_nothing_more_is_taken(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT)
        for more in (b"x", pieces(b"x")):
            answer = await send(client, url, len(CONTENT), more)
            assert code_of(answer) == (413, "request-too-large")
        assert (await client.get(url)).json()["status"] == "staged"


@pytest.mark.parametrize("breaks_off", [False, True])
async def test_what_is_begun_and_refused_in_one_request_leaves_no_upload(
    services: Services, *, breaks_off: bool
) -> None:
    """Its address was told to nobody, and it would keep the form from being submitted."""

    async def broken() -> AsyncIterator[bytes]:
        yield CONTENT[:1000]
        raise ClientGone

    async with public(services) as client:
        form = await new_form(client)
        path = f"/v1/forms/{form['id']}/fields/bulk/tus"
        headers = {**BYTES, "Upload-Length": str(len(CONTENT))}

        async def create(**more: str) -> None:
            if breaks_off:
                await client.post(path, content=broken(), headers={**headers, **more})
            else:
                wrong = {"Upload-Checksum": "sha1 AAAA"}
                answer = await client.post(path, content=b"x", headers={**headers, **wrong, **more})
                assert code_of(answer) == (460, "checksum-mismatch")

        async def listed() -> list[str]:
            uploads = (await client.get(f"/v1/forms/{form['id']}")).json()["uploads"]["bulk"]
            return [each["status"] for each in uploads]

        await create()
        assert await listed() == []
        await create(**{"Idempotency-Key": "a"})
        assert await listed() == ["receiving"], "the key finds it again"
        answer = await client.post(path, headers={**headers, "Idempotency-Key": "a"})
        assert answer.headers["upload-offset"] == ("1000" if breaks_off else "0")


async def test_bytes_of_another_checksum_are_discarded(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        sums = {
            name: f"{name} {base64.b64encode(hashlib.new(name, CONTENT[:5000]).digest()).decode()}"
            for name in ("sha1", "sha256")
        }
        for sent in sums.values():
            answer = await send(client, url, 0, CONTENT[1:5001], **{"Upload-Checksum": sent})
            assert code_of(answer) == (460, "checksum-mismatch")
            assert (await stands(client, url)).headers["upload-offset"] == "0"
        answer = await send(client, url, 0, CONTENT[:5000], **{"Upload-Checksum": sums["sha1"]})
        assert answer.headers["upload-offset"] == "5000"
        await send(client, url, 5000, b"wrong", **{"Upload-Checksum": sums["sha256"]})
        assert (await send(client, url, 5000, CONTENT[5000:])).status_code == 204
        assert (await client.get(url)).json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("digest", [b"0" * 64, base64.b64encode(b"0" * 32)], ids=["hex", "base64"])
async def test_a_file_that_is_not_what_its_client_announced_ends(
    services: Services, digest: bytes
) -> None:
    async with public(services) as client:
        other = base64.b64encode(digest).decode()
        url = await begun(client, **{"Upload-Metadata": f"sha256 {other}"})
        assert code_of(await send(client, url, 0, CONTENT)) == (422, "digest-mismatch")
        assert (await stands(client, url)).status_code == 410
        assert (await client.get(url)).json()["status"] == "removed"


async def test_an_upload_that_is_over_is_gone_and_begins_anew(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT[:1000])
        assert (await client.delete(url, headers=TUS)).status_code == 204
        assert (await stands(client, url)).status_code == 410
        assert code_of(await send(client, url, 1000, CONTENT[1000:])) == (410, "upload-gone")
        assert (await client.head("/v1/uploads/upl_nothing", headers=TUS)).status_code == 404
        assert (await client.head(f"/v1/uploads/{new_id('upl')}", headers=TUS)).status_code == 404


async def test_the_last_byte_may_be_sent_again_and_changes_nothing(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT)
        for _ in range(2):
            answer = await send(client, url, len(CONTENT), b"")
            assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(CONTENT)))
        assert (await stands(client, url)).headers["upload-offset"] == str(len(CONTENT))


async def test_a_checksum_behind_the_last_byte_is_that_of_nothing(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT)
        for content, expected in ((b"", 204), (b"other", 460)):
            digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
            end = {"Upload-Checksum": f"sha256 {digest}"}
            assert (await send(client, url, len(CONTENT), b"", **end)).status_code == expected
        assert (await stands(client, url)).headers["upload-offset"] == str(len(CONTENT))


async def test_what_is_said_in_several_lines_is_one_list(services: Services) -> None:
    """As some proxies have it: none of the lines is left out, and two numbers are none."""
    async with public(services) as client:
        form = await new_form(client)
        path, two = f"/v1/forms/{form['id']}/fields/bulk/tus", [("Upload-Metadata", "a YQ==")]
        lines = [*TUS.items(), ("Upload-Length", "5"), *two, ("Upload-Metadata", "filename Yg==")]
        url = (await client.post(path, headers=lines)).headers["location"]
        assert (await stands(client, url)).headers["upload-metadata"] == "a YQ==, filename Yg=="
        assert (await client.get(url)).json()["filename"] == "b"
        answer = await client.post(path, headers=[*lines, ("Upload-Length", "6")])
        assert code_of(answer) == (400, "bad-request")
        for name, value in (("Upload-Offset", "0"), ("Upload-Checksum", "sha1 AAAA")):
            lines = [*BYTES.items(), ("Upload-Offset", "0"), ("Upload-Checksum", "md5 AAAA")]
            answer = await client.patch(url, content=b"12345", headers=[*lines, (name, value)])
            assert code_of(answer) == (400, "bad-request")
        assert (await stands(client, url)).headers["upload-offset"] == "0"


async def test_a_client_that_knows_no_patch_says_so_in_a_header(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        headers = {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
        assert (await client.post(url, content=b"12345", headers=headers)).status_code == 204
        assert (await stands(client, url)).headers["upload-offset"] == "5"
        asks = {**TUS, "X-HTTP-Method-Override": "head"}
        assert (await client.get(url, headers=asks)).headers["upload-offset"] == "5"
        asks = {**TUS, "X-HTTP-Method-Override": "OPTIONS"}
        assert (await client.post(url, headers=asks)).headers["tus-version"] == "1.0.0"
        ends = {**TUS, "X-HTTP-Method-Override": "DELETE"}
        assert (await client.post(url, headers=ends)).status_code == 204
        assert (await stands(client, url)).status_code == 410


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
async def test_a_request_of_another_version_is_refused_and_does_nothing(
    services: Services, method: str
) -> None:
    async with public(services) as client:
        url = await begun(client)
        headers = {**BYTES, "Upload-Offset": "0", "Tus-Resumable": "0.2.2"}
        answer = await client.request(method, url, content=b"12345", headers=headers)
        assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
        assert (await stands(client, url)).headers["upload-offset"] == "0"


@pytest.mark.parametrize("method", ["TRACE", "PUT", "PATCH"])
async def test_a_method_that_an_address_does_not_have_is_told_whatever_the_version(
    services: Services, method: str
) -> None:
    async with public(services) as client:
        headers = {"Tus-Resumable": "0.2.2"}
        answer = await client.request(method, "/v1/forms/frm_x/fields/bulk/tus", headers=headers)
    assert answer.status_code == 405


async def test_what_is_spoken_is_told_to_everybody(services: Services) -> None:
    async with public(services) as client:
        answer = await client.options("/v1/forms/frm_x/fields/bulk/tus")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == (
        "creation,creation-with-upload,termination,expiration,checksum"
    )
    assert "sha1" in answer.headers["tus-checksum-algorithm"]
    assert int(answer.headers["tus-max-size"]) > 0


async def test_the_size_that_is_told_is_that_of_the_field(services: Services) -> None:
    async with public(services) as client:
        most = {}
        for field in ("bulk", "tiny", "none"):
            told = (await client.options(f"/v1/forms/frm_x/fields/{field}/tus")).headers
            assert told["upload-limit"] == f"max-size={told['tus-max-size']}"
            most[field] = int(told["tus-max-size"])
    assert most == {"bulk": 2_200_000_000, "tiny": 2_000, "none": 2_200_000_000}


async def test_a_status_is_shown_while_bytes_come(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client, **{"Upload-Metadata": "filename YS5wZGY=,filetype YS9i"})
        first = await client.get(url)
        await send(client, url, 0, CONTENT[:1000])
        second = await client.get(url, headers={"If-None-Match": first.headers["etag"]})
        found = second.json()
    assert second.status_code == 200
    assert (found["status"], found["filename"], found["declared_type"]) == (
        "receiving",
        "a.pdf",
        "a/b",
    )
    assert found["progress"] == {"received": 1000, "total": len(CONTENT)}
    assert found["expires_at"] is not None
    assert found["sha256"] is None


async def test_a_key_finds_the_upload_that_was_begun_with_it(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        path, headers = f"/v1/forms/{form['id']}/fields/bulk/tus", {**TUS, "Idempotency-Key": "k"}
        first = await client.post(path, headers={**headers, "Upload-Length": "50"})
        await send(client, first.headers["location"], 0, b"12345")
        again = await client.post(path, headers={**headers, "Upload-Length": "50"})
        other = await client.post(path, headers={**headers, "Upload-Length": "51"})
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["upload-offset"] == "5"
    assert code_of(other) == (422, "key-reused")


async def test_a_submitted_form_takes_no_more_bytes(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        form_id = (await client.get(url)).json()["form_id"]
        submitted = update(forms).where(forms.c.id == form_id).values(status="submitted")
        await execute(services.database, submitted)
        assert code_of(await send(client, url, 0, CONTENT)) == (409, "form-submitted")
        assert (await stands(client, url)).status_code == 200


async def test_a_body_that_comes_too_slowly_may_be_tried_again_and_what_came_is_kept(
    services: Services,
) -> None:
    async def idle() -> AsyncIterator[bytes]:
        yield CONTENT[:1000]
        raise Problem("request-timeout")

    async with public(services) as client:
        url = await begun(client)
        answer = await send(client, url, 0, idle())
        assert code_of(answer) == (503, "request-timeout")
        assert answer.json()["status"] == 503
        described = (await client.get("/openapi.json")).json()["paths"]["/v1/uploads/{upload_id}"]
        assert "request-timeout" in described["patch"]["responses"]["503"]["description"]
        assert (await stands(client, url)).headers["upload-offset"] == "1000"


async def test_a_head_that_cannot_be_answered_now_is_never_anything_but_locked(
    services: Services,
) -> None:
    async with public(services) as client:
        url = await begun(client)
        services.stopping.begin()
        answer = await stands(client, url)
        sent = await send(client, url, 0, b"x")
    assert (answer.status_code, answer.headers["retry-after"]) == (423, "2")
    assert sent.status_code == 503
