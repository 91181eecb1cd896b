"""A job ends well, whatever it meets: the queue's library would drop one that raises."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import httpx
import pytest

from api.openapi.examples import APPLIED, FORM_ID, ORDER, UPLOAD_ID
from shared.internal_api import Scan, WorkOrder
from shared.status import StoreState, Verdict
from worker.bell import Bell
from worker.breaker import Breaker
from worker.checking import refuse_unscanned
from worker.errors import FileRejected
from worker.main import _own_scratch, storing_for
from worker.object_store import ObjectStore
from worker.pipeline import Pipeline
from worker.promoter import Promoter
from worker.received_file import Received
from worker.records_client import RecordsClient
from worker.sandbox import Decoder, Output, Processed
from worker.settings import Settings


class SlowApi:
    """Grants a claim when it is let, and keeps the outcomes it is told."""

    def __init__(self) -> None:
        self.asked, self.granted = asyncio.Event(), asyncio.Event()
        self.outcomes: list[dict[str, object]] = []
        self.heartbeats = 0
        self.hears_outcomes = True
        self.missed = 0
        self.is_stale_for = ""
        """The call that is told that the upload is another worker's by now."""
        self.refuses: set[str] = set()
        """Outcomes that it won't have."""
        self.told = Bell()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/heartbeat"):
            self.heartbeats += 1
            self.told.ring()
            if self.is_stale_for == "heartbeat":
                return httpx.Response(409, json={"code": "stale-generation"})
            return httpx.Response(204)
        if request.url.path.endswith("/claim"):
            self.asked.set()
            await self.granted.wait()
            return httpx.Response(200, json=ORDER | {"heartbeat_seconds": 0.05})
        assert request.url.path == f"/internal/forms/{FORM_ID}"
        if not self.hears_outcomes:
            self.missed += 1
            self.told.ring()
            raise httpx.ConnectError("gone")
        self.outcomes.append(json.loads(request.content))
        self.told.ring()
        if self.is_stale_for == "outcome":
            return httpx.Response(409, json={"code": "stale-generation"})
        if self.outcomes[-1]["outcome"] in self.refuses:
            return httpx.Response(422, json={"code": "invalid-request"})
        return httpx.Response(200, json=APPLIED)

    async def reported(self, number: int) -> None:
        async with asyncio.timeout(10):
            while len(self.outcomes) < number:
                await self.told.heard()


def settings(folder: Path) -> Settings:
    return Settings(
        environment="dev",
        redis_url="redis://127.0.0.1:1/0",
        staging_dir=folder,
        scratch_dir=folder,
        internal_url="http://api",
        internal_secret="change-me",
        s3_bucket="bucket",
        s3_access_key_id="key",
        s3_secret_access_key="secret",
    )


def promoter_of(http: httpx.AsyncClient, folder: Path) -> Promoter:
    own = settings(folder)
    storing = storing_for(own, Breaker())
    pipeline = Pipeline(cast("ObjectStore", None), storing, Decoder(), own)
    return Promoter(RecordsClient(http), pipeline)


async def test_a_claim_that_is_granted_to_a_stopping_worker_is_handed_on(tmp_path: Path) -> None:
    api = SlowApi()
    transport = httpx.MockTransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        promoter = promoter_of(http, tmp_path)
        promoting = asyncio.create_task(promoter.promote(UPLOAD_ID))
        await api.asked.wait()
        promoting.cancel()
        await asyncio.sleep(0)
        api.granted.set()
        await asyncio.wait([promoting])
    assert promoting.cancelled()
    (outcome,) = api.outcomes
    assert (outcome["outcome"], outcome["cause"]) == ("retry", "shutdown")
    assert not outcome["counted"]


async def test_a_claim_that_the_api_cant_make_sense_of_ends_the_job_and_raises_nothing(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(422, json={"code": "invalid-request"})

    transport = httpx.MockTransport(refuse)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        await promoter_of(http, tmp_path).promote(UPLOAD_ID)
    assert len(asked) == 1


async def test_a_job_that_begins_when_all_is_over_claims_nothing(tmp_path: Path) -> None:
    api = SlowApi()
    api.granted.set()
    transport = httpx.MockTransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        promoter = promoter_of(http, tmp_path)
        promoter.stop(0)
        await promoter.end(5)
        await promoter.promote(UPLOAD_ID)
    assert not api.asked.is_set()


async def test_a_claim_that_is_granted_when_all_is_over_is_handed_on_though_nobody_cancels_it(
    tmp_path: Path,
) -> None:
    api = SlowApi()
    transport = httpx.MockTransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        promoter = promoter_of(http, tmp_path)
        promoting = asyncio.create_task(promoter.promote(UPLOAD_ID))
        await api.asked.wait()
        promoter.stop(0)
        await promoter.end(5)
        api.granted.set()
        await promoting
    (outcome,) = api.outcomes
    assert (outcome["outcome"], outcome["cause"]) == ("retry", "shutdown")


async def test_an_error_nobody_knows_is_an_attempt_and_ends_no_job_by_an_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("nobody knows it")

    monkeypatch.setattr("worker.checking.received_file", broken)
    api = SlowApi()
    api.granted.set()
    transport = httpx.MockTransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        promoter = promoter_of(http, tmp_path)
        await promoter.promote(UPLOAD_ID)
    (outcome,) = api.outcomes
    assert (outcome["outcome"], outcome["cause"]) == ("retry", "unexpected")
    assert outcome["counted"]


class Frozen:
    """A store to which nothing gets through until it thaws."""

    def __init__(self) -> None:
        self.thawed, self.keys = asyncio.Event(), list[str]()
        self.facts: dict[str, tuple[object, object]] = {}
        """Size and hash that each was to be held to."""
        self.cleaned: list[str] = []

    async def put(
        self, path: Path, key: str, *, size: int = 0, sha256: str = "", **_: object
    ) -> None:
        await self.thawed.wait()
        assert await asyncio.to_thread(path.exists), "scratch is kept while it waits"
        self.keys.append(key)
        self.facts[key.rpartition("/")[2]] = (size, sha256)

    async def clean(self, prefix: str) -> int:
        self.cleaned.append(prefix)
        return 0


def left_in(scratch: Path) -> list[Path]:
    return list(scratch.iterdir())


def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file is found good, and some bytes are made of it; the files that were checked."""
    checked: list[Path] = []

    async def verified(*_: object) -> Received:
        return Received(Path("/staged"))

    async def process(_: Decoder, staged: Path, scratch: Path, **__: object) -> Processed:
        checked.append(staged)
        made = scratch / "headshot.jpg"
        made.write_bytes(b"made")
        output = Output("headshot.jpg", made, "image/jpeg", 4, ORDER["sha256"])
        return Processed(
            detected_type="image/jpeg",
            object=output,
            derivatives={},
            original=None,
            notices=[],
            confinement=frozenset(),
        )

    monkeypatch.setattr("worker.checking.received_file", verified)
    monkeypatch.setattr("worker.sandbox.Decoder.process", process)
    return checked


def finds(monkeypatch: pytest.MonkeyPatch, folder: Path, bad: FileRejected) -> None:
    """Every file is found to be this bad."""
    staged = folder / "staged"
    staged.write_bytes(b"as it came")

    async def verified(*_: object) -> Received:
        return Received(staged)

    async def process(*_: object, **__: object) -> Processed:
        raise bad

    monkeypatch.setattr("worker.checking.received_file", verified)
    monkeypatch.setattr("worker.sandbox.Decoder.process", process)


@asynccontextmanager
async def promoting(
    folder: Path, store: Frozen, **bounds: int
) -> AsyncIterator[tuple[SlowApi, Promoter, Breaker]]:
    api, breaker = SlowApi(), Breaker()
    api.granted.set()
    own = settings(folder).model_copy(update=bounds)
    transport = httpx.MockTransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        storing = storing_for(own, breaker)
        pipeline = Pipeline(cast("ObjectStore", store), storing, Decoder(), own)
        promoter = Promoter(RecordsClient(http), pipeline)
        yield api, promoter, breaker
        promoter.stop(0)
        await promoter.end(5)


async def test_a_job_ends_when_the_file_is_checked_and_the_outcome_follows_with_the_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(monkeypatch)
    store = Frozen()
    async with promoting(tmp_path, store) as (api, promoter, _):
        await promoter.promote(UPLOAD_ID)
        assert api.outcomes == []
        store.thawed.set()
        await api.reported(1)
        assert api.outcomes[0]["outcome"] == "stored"
    assert not left_in(tmp_path)


async def test_what_waits_for_the_store_is_handed_on_at_once_when_the_worker_is_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(monkeypatch)
    async with promoting(tmp_path, Frozen()) as (api, promoter, breaker):
        breaker.trip(StoreState.AWAY, "gone")
        for _ in range(64):
            await promoter.promote(UPLOAD_ID)
        promoter.stop(60)
        await promoter.end(5)
        assert len(api.outcomes) == 64
    assert {(each["cause"], each["counted"]) for each in api.outcomes} == {("shutdown", False)}
    assert not left_in(tmp_path)


async def test_what_is_being_put_has_the_grace_to_end_and_is_handed_on_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(monkeypatch)
    for grace in (60, 0.1):
        store = Frozen()
        async with promoting(tmp_path, store) as (api, promoter, _):
            await promoter.promote(UPLOAD_ID)
            promoter.stop(grace)
            ending = asyncio.create_task(promoter.end(5))
            if grace == 60:
                store.thawed.set()
            await ending
            expected = "stored" if grace == 60 else "retry"
            assert [each["outcome"] for each in api.outcomes] == [expected]


async def test_who_hands_an_upload_in_renews_its_lease_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(monkeypatch)
    async with promoting(tmp_path, Frozen()) as (api, promoter, _):
        await promoter.promote(UPLOAD_ID)
        async with asyncio.timeout(10):
            while not api.heartbeats:
                await api.told.heard()
        api.hears_outcomes = False  # as an api that is just restarted
        promoter.stop(0)
        ending = asyncio.create_task(promoter.end(5))
        await api.told.heard()
        heard = api.heartbeats
        await asyncio.sleep(0.5)  # ten heartbeats
        assert not ending.done()
        assert api.heartbeats <= heard + 1, "but for one that was on its way"
        api.hears_outcomes = True
        await ending
    assert [(each["cause"], each["counted"]) for each in api.outcomes] == [("shutdown", False)]


async def test_a_verdict_names_the_type_that_was_found_and_what_the_scanner_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds(monkeypatch, tmp_path, FileRejected("file-encrypted", detected_type="application/pdf"))

    async def look_into(*_: object) -> Scan:
        return Scan(verdict=Verdict.CLEAN, database="27123")

    monkeypatch.setattr("worker.checking.look_into", look_into)
    async with promoting(tmp_path, Frozen()) as (api, promoter, _):
        await promoter.promote(UPLOAD_ID)
        await api.reported(1)
    (outcome,) = api.outcomes
    assert (outcome["code"], outcome["detected_type"]) == ("file-encrypted", "application/pdf")
    scan = cast("dict[str, object]", outcome["scan"])
    assert (scan["verdict"], scan["database"]) == ("clean", "27123")


async def test_what_lies_in_a_store_that_is_away_is_waited_for_and_costs_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = checks(monkeypatch)
    monkeypatch.setitem(ORDER, "from_key", "a/upl_2.1/original.pdf")
    async with promoting(tmp_path, Frozen()) as (api, promoter, breaker):
        breaker.trip(StoreState.AWAY, "gone")
        await promoter.promote(UPLOAD_ID)
        assert [(each["cause"], each["counted"]) for each in api.outcomes] == [("store", False)]
    assert checked == []


async def test_a_report_that_pauses_when_the_worker_is_to_stop_is_handed_in_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(monkeypatch)
    monkeypatch.setattr("worker.records_client.FIRST_PAUSE", 60)
    store = Frozen()
    async with promoting(tmp_path, store) as (api, promoter, _):
        api.hears_outcomes = False
        await promoter.promote(UPLOAD_ID)
        store.thawed.set()
        async with asyncio.timeout(10):
            while not api.missed:
                await api.told.heard()
        api.hears_outcomes = True
        promoter.stop(0)
        await promoter.end(5)
        assert [each["outcome"] for each in api.outcomes] == ["stored"]


async def test_what_finds_no_room_is_given_back_and_not_checked_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = checks(monkeypatch)
    async with promoting(tmp_path, Frozen(), max_checked=1) as (api, promoter, breaker):
        breaker.trip(StoreState.AWAY, "gone")
        await promoter.promote(UPLOAD_ID)
        await promoter.promote(UPLOAD_ID)
        await promoter.promote(UPLOAD_ID)
        assert [(each["cause"], each["counted"]) for each in api.outcomes] == [("store", False)] * 2
    assert len(checked) == 1


@pytest.mark.parametrize("told", ["heartbeat", "outcome"])
async def test_who_lost_its_upload_stops_and_deletes_what_it_put_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    checks(monkeypatch)
    monkeypatch.setitem(ORDER, "flagged_prefix", "flagged/a/upl_1.1/")
    store = Frozen()
    async with promoting(tmp_path, store) as (api, promoter, _):
        await promoter.promote(UPLOAD_ID)
        api.is_stale_for = told
        if told == "outcome":
            store.thawed.set()
        promoter.stop(10)
        await promoter.end(5)
        assert len(api.outcomes) == (told == "outcome")
    assert store.cleaned == [ORDER["key_prefix"], "flagged/a/upl_1.1/"]
    assert not left_in(tmp_path)


async def test_what_goes_to_the_bucket_as_it_came_is_held_to_its_acknowledgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the decoding child says of it."""
    checks(monkeypatch)
    staged = tmp_path / "staged"
    staged.write_bytes(b"as it came")
    acknowledged = (ORDER["size"], ORDER["sha256"])

    async def received(*_: object) -> Received:
        return Received(staged)

    async def process(_: Decoder, staged: Path, scratch: Path, **__: object) -> Processed:
        made = scratch / "headshot-thumb.jpg"
        made.write_bytes(b"made")
        lie = Output("headshot.png", staged, "image/png", 3, "1" * 64)
        return Processed(
            detected_type="image/png",
            object=lie,
            derivatives={"thumb": Output(made.name, made, "image/jpeg", 4, "2" * 64)},
            original=replace(lie, name="original.png"),
            notices=[],
            confinement=frozenset(),
        )

    monkeypatch.setattr("worker.checking.received_file", received)
    monkeypatch.setattr("worker.sandbox.Decoder.process", process)
    store = Frozen()
    store.thawed.set()
    async with promoting(tmp_path, store) as (api, promoter, _):
        await promoter.promote(UPLOAD_ID)
        await api.reported(1)
    assert store.facts == {
        "headshot.png": acknowledged,
        "original.png": acknowledged,
        "headshot-thumb.jpg": (4, "2" * 64),
    }
    described = cast("dict[str, object]", api.outcomes[0]["object"])
    assert (described["size"], described["sha256"]) == acknowledged


def test_scratch_of_workers_that_are_no_more_is_removed_and_that_of_others_kept(
    tmp_path: Path,
) -> None:
    nobody = 2**22 + 1  # beyond the highest id that a process may have
    for name in (str(os.getppid()), str(os.getpid()), str(nobody), "of-somebody-else"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "made.jpg").write_bytes(b"made")
    own = _own_scratch(tmp_path)
    assert list(own.iterdir()) == [], "what a process of the same id left"
    assert {path.name for path in tmp_path.iterdir()} == {
        *(str(os.getppid()), str(os.getpid())),
        "of-somebody-else",
    }


@pytest.mark.parametrize("refuses", [{"stored"}, {"stored", "retry"}])
async def test_an_outcome_that_the_api_wont_have_is_an_attempt_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: set[str]
) -> None:
    checks(monkeypatch)
    store = Frozen()
    store.thawed.set()
    async with promoting(tmp_path, store) as (api, promoter, _):
        api.refuses = refuses
        await promoter.promote(UPLOAD_ID)
        promoter.stop(10)
        await promoter.end(5)
    assert [each["outcome"] for each in api.outcomes] == ["stored", "retry"]
    assert (api.outcomes[1]["cause"], api.outcomes[1]["counted"]) == ("refused", True)


async def test_a_store_that_stays_away_gives_the_upload_back_when_its_work_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(monkeypatch)
    monkeypatch.setitem(ORDER, "work_seconds", 0.2)
    async with promoting(tmp_path, Frozen()) as (api, promoter, breaker):
        breaker.trip(StoreState.REFUSED, "the key is gone")
        await promoter.promote(UPLOAD_ID)
        await api.reported(1)
        assert (api.outcomes[0]["cause"], api.outcomes[0]["counted"]) == ("store-refused", False)


@pytest.mark.parametrize(
    ("detected", "name"),
    [("image/png", "original.png"), ("x/y", "original.bin"), (None, "original.bin")],
)
async def test_a_file_with_a_finding_that_its_field_keeps_is_put_as_it_came_and_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detected: str | None, name: str
) -> None:
    finds(
        monkeypatch, tmp_path, FileRejected("image-too-small", {"width": 3}, detected_type=detected)
    )
    monkeypatch.setitem(ORDER, "policy", ORDER["policy"] | {"flag": ["image-too-small"]})
    monkeypatch.setitem(ORDER, "flagged_prefix", "flagged/a/")
    store = Frozen()
    store.thawed.set()
    async with promoting(tmp_path, store) as (api, promoter, _):
        await promoter.promote(UPLOAD_ID)
        await api.reported(1)
    (outcome,) = api.outcomes
    assert outcome["outcome"] == "stored"
    assert outcome["detected_type"] == detected
    assert outcome["flags"] == [{"code": "image-too-small", "params": {"width": 3}}]
    described = cast("dict[str, object]", outcome["object"])
    assert [described["key"]] == store.keys == [f"flagged/a/{name}"]
    assert (described["size"], described["sha256"]) == (ORDER["size"], ORDER["sha256"])
    known = "image/png" if detected == "image/png" else "application/octet-stream"
    assert described["content_type"] == known


async def test_a_file_that_is_too_small_and_kept_is_kept_of_a_type_that_its_field_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds(monkeypatch, tmp_path, FileRejected("file-invalid-type"))
    rules = {"flag": ["file-too-small"], "min_bytes": 1_000_000}
    monkeypatch.setitem(ORDER, "policy", ORDER["policy"] | rules)
    monkeypatch.setitem(ORDER, "flagged_prefix", "flagged/a/")
    async with promoting(tmp_path, Frozen()) as (api, promoter, _):
        await promoter.promote(UPLOAD_ID)
        await api.reported(1)
    assert [(each["outcome"], each["code"]) for each in api.outcomes] == [
        ("rejected", "file-invalid-type")
    ]


@pytest.mark.parametrize("kept", [["file-corrupt"], ["file-corrupt", "file-unscannable"]])
def test_what_was_not_scanned_is_not_kept_for_another_finding(kept: list[str]) -> None:
    policy = ORDER["policy"] | {"flag": kept, "unscannable": "reject"}
    order = WorkOrder.model_validate(ORDER | {"policy": policy, "flagged_prefix": "flagged/a/"})
    scan = Scan(verdict=Verdict.UNSCANNABLE, signature="Heuristics.Limits.Exceeded")
    found = FileRejected("file-corrupt", detected_type="image/png")
    if "file-unscannable" in kept:
        refuse_unscanned(scan, order, found)
        return
    with pytest.raises(FileRejected) as verdict:
        refuse_unscanned(scan, order, found)
    assert (verdict.value.code, verdict.value.detected_type) == ("file-unscannable", "image/png")


@pytest.mark.parametrize(
    ("prefix", "codes"), [(None, ["file-corrupt"]), ("flagged/a/", ["image-too-small"])]
)
async def test_a_finding_that_nobody_keeps_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str | None, codes: list[str]
) -> None:
    finds(monkeypatch, tmp_path, FileRejected("file-corrupt"))
    monkeypatch.setitem(ORDER, "policy", ORDER["policy"] | {"flag": codes})
    monkeypatch.setitem(ORDER, "flagged_prefix", prefix)
    async with promoting(tmp_path, Frozen()) as (api, promoter, _):
        await promoter.promote(UPLOAD_ID)
        await api.reported(1)
    assert [(each["outcome"], each["code"]) for each in api.outcomes] == [
        ("rejected", "file-corrupt")
    ]
