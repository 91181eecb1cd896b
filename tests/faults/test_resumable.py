"""An acknowledged offset is never lost, wherever the api is killed, and nothing is stuck."""

import httpx
import pytest

from tests.support.faulty_stack import FaultyStack, until
from tests.support.ledger import Ledger, document

TUS = {"Tus-Resumable": "1.0.0"}
BEFORE_THE_OFFSET = "api-after-segment-fsync"
IN_BETWEEN = (BEFORE_THE_OFFSET, "api-after-offset")
POINTS = [
    *(*IN_BETWEEN, "api-after-join"),
    *(
        pytest.param(each, marks=pytest.mark.slow)
        for each in ("api-before-finish", "api-after-commit")
    ),
]


class Sender:
    """Sends one file by tus, as a client does that begins again wherever it is told to."""

    def __init__(self, ledger: Ledger, content: bytes) -> None:
        self.content = content
        self._http = ledger.form.http
        answer = self._http.post(
            f"{ledger.form.path}/fields/needed/tus",
            headers={**TUS, "Upload-Length": str(len(content))},
        )
        assert answer.status_code == 201, answer.text
        self.url = answer.headers["location"]
        self.acknowledged = 0

    def send(self, count: int) -> None:
        at, end = self.acknowledged, self.acknowledged + count
        answer = self._http.patch(
            self.url,
            content=self.content[at:end],
            headers={
                **TUS,
                "Content-Type": "application/offset+octet-stream",
                "Upload-Offset": str(at),
            },
        )
        assert answer.status_code == 204, answer.text
        self.acknowledged = int(answer.headers["upload-offset"])

    def ask(self) -> int:
        """Where it stands, which is never before what was acknowledged."""
        found: list[httpx.Response] = []

        def answered() -> bool:
            try:
                found.append(self._http.head(self.url, headers=TUS))
            except httpx.HTTPError:
                return False
            assert found[-1].status_code in (200, 423)
            return found[-1].status_code == 200

        until(answered, "nobody says where it stands")
        at = int(found[-1].headers["upload-offset"])
        assert at >= self.acknowledged
        return at


@pytest.mark.parametrize("point", POINTS)
def test_an_api_killed_in_the_middle_of_a_resumable_upload_loses_no_acknowledged_byte(
    faulty: FaultyStack, ledger: Ledger, point: str
) -> None:
    sender = Sender(ledger, document())
    sender.send(200)
    old = faulty.pid("api")
    last = len(sender.content) - 200
    count = 100 if point in IN_BETWEEN else last
    with faulty.crashing(point) as victim:
        with pytest.raises(httpx.HTTPError):
            sender.send(count)
        assert victim() == old
    faulty.back("api", old)
    at = sender.ask()
    assert at == (200 if point == BEFORE_THE_OFFSET else 200 + count)
    sender.acknowledged = at
    if at < len(sender.content):
        sender.send(len(sender.content) - at)
    upload_id = sender.url.rpartition("/")[2]
    entered = {"id": upload_id, "field": "needed"}
    ledger.enter(entered, sender.content, ledger.form)
    ledger.wait(upload_id, "stored")
    ledger.settle()
