"""What comes in chunks, in any order, at once and repeatedly, is one file, or none."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from starlette.requests import ClientDisconnect

from api.receive.body import ClientGone
from api.records.tables import uploads
from api.services import Services
from api.staging.folders import SEGMENTS
from api.texts.errors import Problem
from api.uploads import outcomes, work
from api.uploads.admission import Admission
from api.uploads.pieces import Place, here_from_start, put_piece
from api.uploads.resumable import Announced, begin
from shared.ids import new_id
from shared.status import UploadStatus
from shared.volume import MARKER, STAGED
from tests.support.chunks import (
    CONTENT,
    SIZE,
    Said,
    chunk,
    dropzone,
    dropzone_fields,
    filepond,
    filepond_begin,
    filepond_chunk,
    filepond_offset,
)
from tests.support.listeners import new_form, public
from tests.support.services import Scene, rejected, services_on
from tests.support.sql import execute
from tests.support.sweeping import willing_sweep
from tests.support.tus import BYTES, TUS, code_of

SHA256 = hashlib.sha256(CONTENT).hexdigest()


def segments_of(services: Services) -> list[Path]:
    return list((services.settings.staging_dir / SEGMENTS).iterdir())


async def expect_whole(services: Services, client: httpx.AsyncClient, upload_id: str) -> None:
    found = (await client.get(f"/v1/uploads/{upload_id}")).json()
    assert (found["status"], found["sha256"], found["filename"]) == (
        *("staged", SHA256),
        "licence.pdf",
    )
    assert (services.settings.staging_dir / STAGED / upload_id).read_bytes() == CONTENT


async def test_a_volume_that_is_another_one_is_given_no_piece(services: Services) -> None:
    marker = services.settings.staging_dir / MARKER
    async with public(services) as client:
        form = await new_form(client)
        assert (await dropzone(client, form, 0)).status_code == 200
        own = marker.read_text()
        marker.write_text("vol_another")
        assert code_of(await dropzone(client, form, 1)) == (503, "unavailable")
        assert len(segments_of(services)) == 1
        marker.write_text(own)
        assert [(await dropzone(client, form, n)).status_code for n in (1, 2)] == [200, 202]


# --- any order, at once, repeated


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 1, 0, 2, 2)])
async def test_chunks_of_dropzone_in_any_order_and_repeated_are_one_file(
    services: Services, order: tuple[int, ...]
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        answers = [await dropzone(client, form, index) for index in order]
        assert [answer.status_code for answer in answers[:-1]] in ([200, 200], [200, 200, 200, 202])
        assert answers[0].json()["status"] == "receiving"
        received = len(chunk(order[0]))
        assert answers[0].json()["progress"] == {"received": received, "total": len(CONTENT)}
        assert answers[-1].status_code == 202
        assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
        await expect_whole(services, client, answers[0].json()["id"])


async def test_chunks_that_come_at_once_to_two_replicas_are_one_file(
    services: Services, tmp_path: Path, database_url: str
) -> None:
    async with (
        services_on(tmp_path, database_url) as other,
        public(services) as client,
        public(other) as elsewhere,
    ):
        form = await new_form(client)
        elsewhere.headers["Authorization"] = client.headers["Authorization"]
        calls = [dropzone(by, form, index) for index in (2, 0, 1, 0) for by in (client, elsewhere)]
        answers = await asyncio.gather(*calls)
        assert {answer.is_success for answer in answers} == {True}, [each.text for each in answers]
        assert len({answer.json()["id"] for answer in answers}) == 1
        await expect_whole(services, client, answers[0].json()["id"])
        assert len((await client.get(f"/v1/forms/{form['id']}")).json()["uploads"]["bulk"]) == 1


class Sender:
    """Sends pieces of one upload, and knows which of its bytes must be here."""

    def __init__(self, replicas: tuple[Services, ...], upload_id: str, content: bytes) -> None:
        self._replicas = replicas
        self._id = upload_id
        self._content = content
        self.here: set[int] = set()
        self.refusals: set[str] = set()

    async def put(self, start: int, size: int, by: int, *, says_size: bool) -> None:
        data = self._content[start : start + size]

        async def halves() -> AsyncIterator[bytes]:
            yield data[: size // 2]
            await asyncio.sleep(0)  # others have a turn
            yield data[size // 2 :]

        place = Place(start, len(data) if says_size else None)
        try:
            await put_piece(self._replicas[by], self._id, place, halves())
        except Problem as problem:
            self.refusals.add(problem.code)
        else:
            self.here |= set(range(start, start + len(data)))

    async def fill(self) -> None:
        """What is missing, hole by hole."""
        start: int | None = None
        for at in range(len(self._content) + 1):
            is_missing = at < len(self._content) and at not in self.here
            if is_missing and start is None:
                start = at
            elif not is_missing and start is not None:
                await self.put(start, at - start, 0, says_size=True)
                start = None


PIECES = st.tuples(
    st.integers(0, 11).map(lambda number: number * 25),
    st.sampled_from([25, 50, 100, 13]),
    st.integers(0, 1),
    st.booleans(),
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(bursts=st.lists(st.lists(PIECES, min_size=1, max_size=5), max_size=4))
async def test_whatever_pieces_come_the_file_has_no_hole_and_no_other_bytes(
    services: Services, bursts: list[list[tuple[int, int, int, bool]]]
) -> None:
    content = bytes(index % 251 for index in range(300))
    async with services_on(
        services.settings.staging_dir.parent, str(services.settings.database_url)
    ) as other:
        scene = await Scene.create(services)
        field = services.form_types["acceptance"].file_fields["bulk"]
        admission = Admission(services, scene.form, field, request_id="req")
        row = await begin(services, admission, Announced(len(content)))
        sender = Sender((services, other), row.id, content)
        for burst in bursts:
            await asyncio.gather(
                *(sender.put(start, size, by, says_size=says) for start, size, by, says in burst)
            )
            now, offset = await here_from_start(other, row.id)
            if now.status is UploadStatus.RECEIVING:
                assert now.received == len(sender.here)
                assert offset == min(set(range(len(content) + 1)) - sender.here)
        await sender.fill()
        assert sender.refusals <= {"piece-mismatch"}
        done = await scene.now(row)
        assert (done.status, done.sha256) == (
            UploadStatus.STAGED,
            hashlib.sha256(content).hexdigest(),
        )
        assert (services.settings.staging_dir / STAGED / row.id).read_bytes() == content


async def test_what_was_written_of_a_piece_that_ends_badly_is_taken_off_the_volume(
    services: Services,
) -> None:
    batch, size = bytes(300_000), 30_000_000

    async def broken() -> AsyncIterator[bytes]:
        while not segments_of(services):
            yield batch
        raise ClientGone

    async def too_long() -> AsyncIterator[bytes]:
        for _ in range(size // len(batch) + 1):
            yield batch

    scene = await Scene.create(services)
    field = services.form_types["acceptance"].file_fields["bulk"]
    admission = Admission(services, scene.form, field, request_id="req")
    row = await begin(services, admission, Announced(size))
    with pytest.raises(ClientGone):
        await put_piece(services, row.id, Place(0, size), broken())
    assert not segments_of(services)
    with pytest.raises(Problem, match="piece-mismatch"):
        await put_piece(services, row.id, Place(0, None), too_long())
    assert not segments_of(services)
    assert (await scene.now(row)).received == 0


async def test_a_chunk_whose_last_answer_was_lost_is_answered_whatever_became_of_the_file(
    services: Services,
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        answers = [await dropzone(client, form, index) for index in range(3)]
        order = await work.claim(services, answers[0].json()["id"], new_id("clm"))
        await outcomes.apply(services, order.form_id, rejected(order))
        again = await dropzone(client, form, 2)
    assert (again.status_code, again.json()["status"]) == (202, "rejected")


async def test_the_whole_is_hashed_once_where_chunks_come_in_their_order(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_again(*_: object) -> None:
        raise AssertionError("read a second time")

    monkeypatch.setattr("api.uploads.finishing.feed", read_again)
    monkeypatch.setattr("api.staging.segments.feed", read_again)
    async with public(services) as client:
        form = await new_form(client)
        answers = [await dropzone(client, form, index) for index in range(3)]
        await expect_whole(services, client, answers[0].json()["id"])


async def test_what_came_out_of_order_is_hashed_once_nothing_is_missing_before_it(
    services: Services,
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        upload_id = (await dropzone(client, form, 1)).json()["id"]
        assert services.strands.of(upload_id) is None
        await dropzone(client, form, 0)
        hashed = services.strands.of(upload_id)
        assert hashed is not None
        assert hashed.segment.end == 2 * SIZE
        await dropzone(client, form, 2)
        await expect_whole(services, client, upload_id)


# --- chunks that lie


LIES: list[tuple[Said, int, str]] = [
    ({"dztotalfilesize": 2_200_000_001}, 422, "piece-mismatch"),
    ({"dztotalfilesize": 2_200_000_001, "dztotalchunkcount": 22_001}, 413, "file-too-large"),
    ({"dztotalfilesize": 0, "dztotalchunkcount": 0}, 422, "file-empty"),
    ({"dzchunkindex": 3, "dzchunkbyteoffset": 300_000}, 422, "piece-mismatch"),
    ({"dztotalchunkcount": 4}, 422, "piece-mismatch"),
    ({"dztotalchunkcount": 1}, 422, "piece-mismatch"),
    ({"dzchunkbyteoffset": 99_999}, 422, "piece-mismatch"),
    ({"dzchunksize": 0}, 422, "piece-mismatch"),
    ({"dzchunksize": 100_001, "dzchunkbyteoffset": 100_001}, 422, "piece-mismatch"),
    ({"dzchunkindex": "one"}, 400, "bad-request"),
    ({"dzchunkindex": "-1"}, 400, "bad-request"),
    ({"dztotalfilesize": "9" * 19}, 400, "bad-request"),
    ({"dzuuid": ""}, 400, "bad-request"),
    ({"dzuuid": "a" * 101}, 400, "bad-request"),
    ({"dzuuid": None}, 400, "fragment-not-supported"),
    ({"dztotalfilesize": None}, 400, "fragment-not-supported"),
]


async def test_a_chunk_that_lies_is_refused_and_nothing_of_it_is_kept(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        for said, status, code in LIES:
            answer = await dropzone(client, form, 1, other=said)
            assert code_of(answer) == (status, code), said
        for content in (chunk(1)[:-1], chunk(1) + b"x", b""):
            answer = await dropzone(client, form, 1, content)
            assert code_of(answer) == (422, "piece-mismatch")
        assert not segments_of(services)
        for each in (await client.get(f"/v1/forms/{form['id']}")).json()["uploads"]["bulk"]:
            assert each["progress"]["received"] == 0


async def test_under_the_name_of_one_file_no_other_goes_on(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        await dropzone(client, form, 0)
        longer: Said = {"dztotalfilesize": 299_999}
        assert code_of(await dropzone(client, form, 1, other=longer)) == (422, "key-reused")
        cut: Said = {"dzchunksize": 60_000, "dztotalchunkcount": 5, "dzchunkbyteoffset": 60_000}
        answer = await dropzone(client, form, 1, CONTENT[60_000:120_000], other=cut)
        assert code_of(answer) == (422, "piece-mismatch")
        assert len(segments_of(services)) == 1


async def test_the_token_says_whose_chunk_it_is(services: Services) -> None:
    async with public(services) as client, public(services) as stranger:
        form, other = await new_form(client), await new_form(stranger)
        turned = CONTENT[::-1]
        theirs = [turned[index * SIZE : (index + 1) * SIZE] for index in range(3)]
        for index in range(3):
            await dropzone(client, form, index)
            await dropzone(stranger, other, index, theirs[index])
        assert code_of(await dropzone(stranger, form, 0)) == (404, "not-found")
        mine = await dropzone(client, form, 0)
        await expect_whole(services, client, mine.json()["id"])
        answer = await dropzone(stranger, other, 0)
        assert answer.json()["sha256"] == hashlib.sha256(turned).hexdigest()


async def test_a_digest_that_is_sent_with_chunks_is_that_of_the_file(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        for content, status in ((CONTENT, 202), (b"other", 422)):
            digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
            headers = {"Repr-Digest": f"sha-256=:{digest}:"}
            other: Said = {"dzuuid": f"of-{status}"}
            for index in (0, 1):
                await dropzone(client, form, index, headers=headers, other=other)
            answer = await dropzone(client, form, 2, headers=headers, other=other)
            assert answer.status_code == status
            assert answer.json().get("code") == (None if status == 202 else "digest-mismatch")


async def test_what_tells_of_a_chunk_behind_its_file_comes_too_late(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        fields = [(name, (None, value)) for name, value in dropzone_fields(0).items()]
        path = f"/v1/forms/{form['id']}/fields/bulk/uploads"
        file = ("file", ("licence.pdf", chunk(0)))
        late = await client.post(path, files=[file, *fields])
        assert code_of(late) == (400, "fragment-not-supported")
        two = await client.post(path, files=[*fields, file, file])
        assert code_of(two) == (422, "too-many-files")
        none = await client.post(path, files=fields)
        assert code_of(none) == (422, "file-missing")
        twice = await client.post(path, files=[*fields, ("dzchunkindex", (None, "1")), file])
        assert code_of(twice) == (400, "fragment-not-supported")
    assert not segments_of(services)


# --- room, and time


async def test_chunks_are_not_asked_for_the_room_that_their_file_has(
    tmp_path: Path, database_url: str
) -> None:
    most = {"max_form_bytes": len(CONTENT), "max_form_uploads": 1}
    async with services_on(tmp_path, database_url, **most) as services, public(services) as client:
        form = await new_form(client)
        for index in (2, 0, 1, 1):
            assert (await dropzone(client, form, index)).is_success
        assert code_of(await dropzone(client, form, 0, other={"dzuuid": "other"})) == (
            413,
            "form-full",
        )
        whole = {"file": ("a.pdf", b"x")}
        answer = await client.post(f"/v1/forms/{form['id']}/fields/bulk/uploads", files=whole)
        assert code_of(answer) == (413, "form-full")


async def test_a_form_takes_no_more_than_it_may_however_many_begin_at_once(
    tmp_path: Path, database_url: str
) -> None:
    """By tus, and in the chunks of FilePond and Dropzone, through two replicas; by their bytes, and
    by their number."""
    for bound in ({"max_form_bytes": 3 * len(CONTENT)}, {"max_form_uploads": 3}):
        async with (
            services_on(tmp_path, database_url, **bound) as one,
            services_on(tmp_path, database_url, **bound) as two,
            public(one) as first,
            public(two) as second,
        ):
            form = await new_form(first)
            second.headers["Authorization"] = first.headers["Authorization"]
            tus = f"/v1/forms/{form['id']}/fields/bulk/tus"
            length = {**TUS, "Upload-Length": str(len(CONTENT))}
            answers = await asyncio.gather(
                *(each.post(tus, headers=length) for each in (first, second) * 2),
                *(filepond_begin(each, form) for each in (first, second)),
                *(
                    dropzone(each, form, 0, other={"dzuuid": str(number)})
                    for number, each in enumerate((first, second))
                ),
            )
            taken = [each for each in answers if each.is_success]
            refused = {code_of(each) for each in answers if not each.is_success}
            assert (len(taken), refused) == (3, {(413, "form-full")})
            listed = (await first.get(f"/v1/forms/{form['id']}")).json()["uploads"]["bulk"]
            assert [each["status"] for each in listed] == ["receiving"] * 3


async def test_a_file_has_so_many_chunks_and_no_more(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        many: Said = {"dzchunksize": 10, "dztotalchunkcount": 25_600, "dzchunkbyteoffset": 0}
        answer = await dropzone(client, form, 0, CONTENT[:10], other=many)
    assert code_of(answer) == (422, "piece-mismatch")
    assert "10000 chunks" in answer.json()["detail"]


async def test_chunks_that_nobody_goes_on_with_expire_and_leave_nothing(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        upload_id = (await dropzone(client, form, 1)).json()["id"]
        past = update(uploads).where(uploads.c.id == upload_id).values(deadline=1)
        await execute(services.database, past)
        for _ in range(2):
            await willing_sweep(services).once()
        assert code_of(await dropzone(client, form, 0)) == (410, "upload-gone")
    assert not segments_of(services)


# --- FilePond


async def test_filepond_sends_chunks_and_a_last_one_without_bytes(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        begun = await filepond_begin(client, form)
        assert (begun.status_code, begun.headers["upload-offset"]) == (201, "0")
        assert begun.headers["content-type"].startswith("text/plain")
        half = len(CONTENT) // 2
        for offset, content in ((0, CONTENT[:half]), (half, CONTENT[half:]), (2 * half, b"")):
            answer = await filepond_chunk(client, form, begun.text, offset, content)
            assert (answer.status_code, answer.content) == (204, b"")
            assert answer.headers["upload-offset"] == str(min(offset + half, len(CONTENT)))
        await expect_whole(services, client, begun.text)
        restored = await client.get(filepond(form), params={"restore": begun.text})
        assert restored.content == CONTENT


async def test_filepond_is_told_the_end_of_a_whole_chunk_and_nothing_more(
    services: Services,
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield chunk(1)[:70_000]
        raise ClientDisconnect

    async with public(services) as client:
        form = await new_form(client)
        upload_id = (await filepond_begin(client, form)).text
        await filepond_chunk(client, form, upload_id, 0, chunk(0))
        await filepond_chunk(client, form, upload_id, SIZE, broken())
        asked = await filepond_offset(client, form, upload_id)
        assert (asked.status_code, asked.headers["upload-offset"]) == (200, str(SIZE))
        assert "licence" not in str(asked.headers)
        assert len(segments_of(services)) == 1
        again = await filepond_chunk(client, form, upload_id, SIZE, chunk(1))
        assert again.status_code == 204
        await filepond_chunk(client, form, upload_id, 2 * SIZE, chunk(2))
        asked = await filepond_offset(client, form, upload_id)
        assert asked.headers["upload-offset"] == str(len(CONTENT))
        await expect_whole(services, client, upload_id)


async def test_who_has_the_id_alone_may_send_chunks_and_nothing_else(services: Services) -> None:
    async with public(services) as client, public(services) as stranger:
        form, other = await new_form(client), await new_form(stranger)
        del stranger.headers["Authorization"]
        upload_id = (await filepond_begin(client, form)).text
        for index in range(3):
            sent = await filepond_chunk(stranger, form, upload_id, index * SIZE, chunk(index))
            assert sent.status_code == 204
        elsewhere = await filepond_chunk(stranger, other, upload_id, 0, chunk(0))
        assert code_of(elsewhere) == (404, "not-found")
        assert (await filepond_offset(stranger, other, upload_id)).status_code == 404
        assert (await filepond_offset(stranger, form, "upl_none")).status_code == 404
        for answer in (
            await stranger.get(filepond(form), params={"restore": upload_id}),
            await stranger.request("DELETE", filepond(form), content=upload_id),
            await stranger.post(filepond(form), headers={"Upload-Length": "9"}),
        ):
            assert code_of(answer) == (401, "unauthorized")


async def test_what_filepond_reverts_takes_nothing_more(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        upload_id = (await filepond_begin(client, form)).text
        await filepond_chunk(client, form, upload_id, 0, chunk(0))
        restored = await client.get(filepond(form), params={"restore": upload_id})
        assert code_of(restored) == (409, "not-stored")
        reverted = await client.request("DELETE", filepond(form), content=upload_id)
        assert reverted.status_code == 204
        more = await filepond_chunk(client, form, upload_id, SIZE, chunk(1))
        assert code_of(more) == (410, "upload-gone")
        assert (await filepond_offset(client, form, upload_id)).status_code == 410
        await willing_sweep(services).once()
    assert not segments_of(services)


async def test_what_filepond_may_not_begin_is_refused_before_a_chunk(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        for size, status, code in (
            (0, 422, "file-empty"),
            (2_200_000_001, 413, "file-too-large"),
        ):
            assert code_of(await filepond_begin(client, form, size)) == (status, code)
        odd = await filepond_begin(client, form, headers={"Upload-Length": "many"})
        assert code_of(odd) == (400, "bad-request")
        other = await filepond_begin(client, form, headers={"Content-Range": "bytes 0-1/2"})
        assert code_of(other) == (400, "fragment-not-supported")
        length, file = {"Upload-Length": "9"}, {"bulk": ("a.pdf", b"%PDF")}
        both = await client.post(filepond(form), files=file, headers=length)
        assert code_of(both) == (400, "fragment-not-supported")
        assert (await client.get(f"/v1/forms/{form['id']}")).json()["uploads"]["bulk"] == []


async def test_a_chunk_of_filepond_that_lies_is_refused(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        upload_id = (await filepond_begin(client, form)).text
        end = len(CONTENT)
        for answer, expected in (
            (await filepond_chunk(client, form, upload_id, end, b"x"), (422, "piece-mismatch")),
            (await filepond_chunk(client, form, upload_id, end + 1, b""), (422, "piece-mismatch")),
            (
                await filepond_chunk(client, form, upload_id, 0, b"x", {"Upload-Length": "9"}),
                (422, "piece-mismatch"),
            ),
            (
                await filepond_chunk(client, form, upload_id, 0, b"x", {"Upload-Offset": ""}),
                (400, "bad-request"),
            ),
            (
                await filepond_chunk(client, form, upload_id, 0, b"x", {"Content-Type": "a/b"}),
                (415, "unsupported-media-type"),
            ),
        ):
            assert code_of(answer) == expected
    assert not segments_of(services)


async def test_filepond_names_a_file_in_any_script(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        upload_id = (await filepond_begin(client, form)).text
        name: dict[str, str | bytes] = {"Upload-Name": "Führerschein 写.pdf".encode()}
        await filepond_chunk(client, form, upload_id, 0, chunk(0), name)
        found = (await client.get(f"/v1/uploads/{upload_id}")).json()
    assert found["filename"] == "Führerschein 写.pdf"


async def test_tus_does_not_go_on_behind_a_hole(services: Services) -> None:
    async with public(services) as client:
        form = await new_form(client)
        upload_id = (await filepond_begin(client, form)).text
        await filepond_chunk(client, form, upload_id, SIZE, chunk(1))
        headers = {**BYTES, "Upload-Offset": str(SIZE)}
        answer = await client.patch(f"/v1/uploads/{upload_id}", content=b"x", headers=headers)
        assert code_of(answer) == (422, "piece-mismatch")
        await filepond_chunk(client, form, upload_id, 0, chunk(0))
        headers = {**BYTES, "Upload-Offset": str(2 * SIZE)}
        await client.patch(f"/v1/uploads/{upload_id}", content=chunk(2), headers=headers)
        await expect_whole(services, client, upload_id)
