"""The worker's calls to the record: repeated whatever keeps an answer away."""

import httpx
import pytest

from shared.internal_api import WorkOrder
from shared.policy import FilePolicy
from shared.status import Stage
from worker.records_client import RecordsClient

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
BROKEN = [
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("late"),
    AttributeError("'NoneType' object has no attribute 'getpeername'"),
    RuntimeError("unable to perform operation on <TCPTransport closed=True>"),
]


def _client(failing: list[Exception]) -> RecordsClient:
    def answer(request: httpx.Request) -> httpx.Response:
        if failing:
            raise failing.pop()
        return httpx.Response(200, json=ORDER.model_dump(mode="json"), request=request)

    transport = httpx.MockTransport(answer)
    return RecordsClient(httpx.AsyncClient(base_url="http://api", transport=transport))


@pytest.mark.parametrize("error", BROKEN, ids=lambda each: type(each).__name__)
async def test_a_claim_is_repeated_whatever_breaks_its_connection(error: Exception) -> None:
    assert await _client([error, error]).claim("upl_a", "clm_aaaa", seconds=5) == ORDER


@pytest.mark.parametrize("error", BROKEN, ids=lambda each: type(each).__name__)
async def test_a_heartbeat_that_doesnt_get_through_ends_nothing(error: Exception) -> None:
    assert await _client([error]).heartbeat(ORDER, Stage.STORING)
