"""The worker's calls to the record: repeated whatever keeps an answer away."""

import asyncio

import httpx
import pytest

from shared.internal_api import Stored, StoredObject, WorkOrder
from shared.policy import FilePolicy
from shared.status import Stage
from worker.records_client import OutcomeRefused, Over, RecordsClient, RecordsUnavailable

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
