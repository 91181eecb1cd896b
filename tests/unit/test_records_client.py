"""The worker's calls to the record: repeated whatever keeps an answer away."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from shared.internal_api import Cleaning, Stored, StoredObject, WorkerReport, WorkOrder
from shared.policy import FilePolicy
from shared.status import Stage
from worker.records_client import OutcomeRefused, Over, RecordsClient, RecordsUnavailable
from worker.replicas import Replicas

ORDER = WorkOrder(
    upload_id="upl_a",
    form_id="frm_a",
    field="licence",
    generation=1,
    staged_path="staged/upl_a",
    volume_id="vol_a",
    size=1,
    sha256="0" * 64,
    policy=FilePolicy(accept=("application/pdf",), max_bytes=1),
    key_prefix="a/",
    attempt=1,
    lease_seconds=20,
    heartbeat_seconds=5,
    work_seconds=900,
    request_id=None,
)
Asked = list[httpx.Request]
BROKEN: list[Exception] = [
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("late"),
    AttributeError("'NoneType' object has no attribute 'getpeername'"),
    RuntimeError("unable to perform operation on <TCPTransport closed=True>"),
]


STORED = Stored(
    upload_id=f"upl_{'a' * 26}",
    generation=1,
    object=StoredObject(key="a/a", content_type="application/pdf", size=1, sha256="0" * 64),
)
NOBODYS = {
    "an empty answer": {},
    "a page": {"html": "<h1>Not Found</h1>"},
    "another service's": {"json": {"detail": "Not Found"}},
    "no object": {"json": ["stale-generation"]},
    "words": {"text": "stale-generation"},
    "a code of other calls": {"json": {"code": "form-submitted"}},
}
"""What may answer in the api's place: a proxy between the two, or another service."""
ENDS = ["stale-generation", "not-found", "upload-final", "upload-held", "upload-not-due"]


def _client(failing: list[Exception | httpx.Response], asked: Asked | None = None) -> RecordsClient:
    """Of an api that gives these answers, the last first, and then the order."""

    def answer(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        each = failing.pop() if failing else None
        if isinstance(each, Exception):
            raise each
        return each or httpx.Response(200, json=ORDER.model_dump(mode="json"), request=request)

    transport = httpx.MockTransport(answer)
    return RecordsClient(httpx.AsyncClient(base_url="http://api", transport=transport))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Those between two calls, which take no time here."""
    made: list[float] = []
    really = asyncio.sleep

    async def sleep(seconds: float) -> None:
        made.append(seconds)
        await really(0)

    monkeypatch.setattr("worker.records_client.asyncio.sleep", sleep)
    return made


@pytest.mark.parametrize("error", BROKEN, ids=lambda each: type(each).__name__)
async def test_a_claim_is_repeated_whatever_breaks_its_connection(error: Exception) -> None:
    assert await _client([error, error]).claim("upl_a", "clm_aaaa", seconds=5) == ORDER


@pytest.mark.parametrize("error", BROKEN, ids=lambda each: type(each).__name__)
async def test_a_heartbeat_that_doesnt_get_through_ends_nothing(error: Exception) -> None:
    assert await _client([error]).heartbeat(ORDER, Stage.STORING)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("who", NOBODYS)
async def test_an_answer_that_isnt_the_apis_own_ends_no_upload(
    who: str, status: int, pauses: list[float]
) -> None:
    def bare() -> httpx.Response:
        return httpx.Response(status, **NOBODYS[who])  # type: ignore[arg-type] # one way each

    asked: Asked = []
    assert await _client([bare(), bare()], asked).claim("upl_a", "clm_aaaa", seconds=5) == ORDER
    assert await _client([bare()]).heartbeat(ORDER, Stage.STORING)
    await _client([bare()]).report(ORDER, STORED, seconds=5)
    assert (len(asked), len(pauses)) == (3, 3)


@pytest.mark.parametrize("code", ENDS)
async def test_a_code_of_the_apis_own_ends_the_workers_business_at_once(
    code: str, pauses: list[float]
) -> None:
    def final() -> httpx.Response:
        return httpx.Response(409, json={"code": code})

    for call in (
        _client([final()]).claim("upl_a", "clm_aaaa", seconds=5),
        _client([final()]).report(ORDER, STORED, seconds=5),
    ):
        with pytest.raises(Over) as over:
            await call
        assert over.value.code == code
    assert not await _client([final()]).heartbeat(ORDER, Stage.STORING)
    assert pauses == []


async def test_what_the_api_wont_have_is_not_sent_again(pauses: list[float]) -> None:
    refused = httpx.Response(422, json={"code": "invalid-request", "detail": "no key of yours"})
    asked: Asked = []
    with pytest.raises(OutcomeRefused, match="no key of yours"):
        await _client([refused, refused], asked).report(ORDER, STORED, seconds=5)
    assert (len(asked), pauses) == (1, [])


async def test_an_api_that_stays_ill_is_asked_less_and_less_often(pauses: list[float]) -> None:
    ill: list[Exception | httpx.Response] = [httpx.Response(503) for _ in range(12)]
    await _client(ill).claim("upl_a", "clm_aaaa", seconds=60)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, *[5.0] * 7]


async def test_an_api_that_stays_silent_is_unavailable_when_the_time_is_over() -> None:
    def silent(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    http = httpx.AsyncClient(base_url="http://api", transport=httpx.MockTransport(silent))
    with pytest.raises(RecordsUnavailable, match="PATCH /internal/forms/frm_a: ConnectError"):
        await RecordsClient(http).report(ORDER, STORED, seconds=0.3)


REPORT = WorkerReport(store="away", store_for_seconds=3, waiting=2)
CLEANING = Cleaning(id=7, prefix="a/", passes=1)
CALLS: dict[str, tuple[Callable[[RecordsClient], Coroutine[Any, Any, Any]], Any]] = {
    "POST /internal/uploads/none/claim": (lambda records: records.knock(), {}),
    "POST /internal/uploads/upl_a/claim": (
        lambda records: records.claim("upl_a", "clm_aaaa", seconds=5),
        {"claim_id": "clm_aaaa"},
    ),
    "POST /internal/uploads/upl_a/heartbeat": (
        lambda records: records.heartbeat(ORDER, Stage.STORING),
        {"generation": 1, "stage": "storing"},
    ),
    "PATCH /internal/forms/frm_a": (
        lambda records: records.report(ORDER, STORED, seconds=5),
        STORED.model_dump(mode="json"),
    ),
    "PUT /internal/workers/wrk_a": (
        lambda records: records.tell_of_worker("wrk_a", REPORT),
        {"store": "away", "store_for_seconds": 3, "waiting": 2},
    ),
    "GET /internal/limits": (lambda records: records.largest_scanned_bytes(), None),
    "GET /internal/office-needs": (lambda records: records.office_needs(), None),
    "POST /internal/cleanings/claim": (lambda records: records.claim_cleanings(), {"limit": 20}),
    "PATCH /internal/cleanings/7": (
        lambda records: records.confirm_cleaning(CLEANING),
        {"passes": 1},
    ),
}
"""Each call of the worker, and what it says. Whether the api has such an address, the tests with a
running stack know."""
ANSWERS: dict[str, Any] = {
    "GET /internal/limits": {"largest_scanned_bytes": 5},
    "GET /internal/office-needs": {"fields": ["signup.letter"]},
    "POST /internal/cleanings/claim": {"cleanings": [CLEANING.model_dump()]},
}
RETURNED: dict[str, Any] = {
    "POST /internal/uploads/none/claim": 200,
    "POST /internal/uploads/upl_a/claim": ORDER,
    "POST /internal/uploads/upl_a/heartbeat": True,
    "GET /internal/limits": 5,
    "GET /internal/office-needs": ["signup.letter"],
    "POST /internal/cleanings/claim": [CLEANING],
}


@pytest.mark.parametrize("call", CALLS)
async def test_each_call_goes_once_to_its_address_and_says_what_it_has_to(call: str) -> None:
    make, said = CALLS[call]
    given = [httpx.Response(200, json=ANSWERS[call])] if call in ANSWERS else []
    asked: Asked = []

    returned = await make(_client([*given], asked))

    (request,) = asked
    assert f"{request.method} {request.url.path}" == call
    assert (json.loads(request.content) if request.content else None) == said
    assert returned == RETURNED.get(call)


async def test_a_report_of_the_worker_that_is_lost_ends_nothing(pauses: list[float]) -> None:
    asked: Asked = []
    await _client([httpx.ConnectError("refused")], asked).tell_of_worker("wrk_a", REPORT)
    assert (len(asked), pauses) == (1, []), "the next is never far"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.Response(404, json={"code": "not-found"}),
        httpx.Response(200, text="<h1>Hello</h1>"),
    ],
    ids=["none", "of an older api", "of another service"],
)
async def test_without_an_api_that_says_so_the_largest_file_to_be_scanned_is_not_known(
    answer: Exception | httpx.Response,
) -> None:
    assert await _client([answer]).largest_scanned_bytes() is None


async def test_an_api_that_knows_nothing_of_office_needs_has_none() -> None:
    unknown = httpx.Response(404, json={"code": "not-found"})
    assert await _client([unknown]).office_needs() == []
    with pytest.raises(httpx.ConnectError):
        await _client([httpx.ConnectError("refused")]).office_needs()


@pytest.mark.parametrize(("addresses", "share"), [(1, 10), (2, 5), (20, 0.5), (50, 0.5)])
async def test_the_time_of_a_call_is_shared_by_the_addresses_and_each_has_half_a_second(
    addresses: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float | None] = []
    really = asyncio.timeout

    def timeout(seconds: float | None) -> asyncio.Timeout:
        given.append(seconds)
        return really(seconds)

    async def resolve(_host: str, _port: int) -> list[str]:
        return [f"127.0.1.{number}" for number in range(addresses)]

    transport = httpx.MockTransport(lambda _: httpx.Response(204))
    http = httpx.AsyncClient(base_url="http://api", transport=transport)
    replicas = Replicas([httpx.URL("http://api")], resolve)
    await replicas.in_turn()
    monkeypatch.setattr("worker.records_client.asyncio.timeout", timeout)
    await RecordsClient(http, replicas).tell_of_worker("wrk_a", REPORT)
    assert given == [share]


async def test_an_address_that_was_silent_is_asked_last_though_the_call_was_broken_off() -> None:
    asked: list[str] = []
    is_asked = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        if len(asked) == 1:
            raise httpx.ConnectError("refused")
        is_asked.set()
        if len(asked) == 2:
            await asyncio.Event().wait()
        return httpx.Response(204)

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.1.1", "127.0.1.2"]

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    records = RecordsClient(http, Replicas([httpx.URL("http://api")], resolve))
    broken_off = asyncio.create_task(records.knock())
    await is_asked.wait()
    broken_off.cancel()
    await asyncio.wait([broken_off])
    await records.knock()
    assert asked == ["127.0.1.1", "127.0.1.2", "127.0.1.2"]
