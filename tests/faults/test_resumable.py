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


CHUNK = 250


def chunk(ledger: Ledger, content: bytes, index: int) -> httpx.Response:
    """Send one as Dropzone does."""
    said = {
        "dzuuid": "6b1f",
        "dzchunkindex": index,
        "dztotalfilesize": len(content),
        "dzchunksize": CHUNK,
        "dztotalchunkcount": -(-len(content) // CHUNK),
        "dzchunkbyteoffset": index * CHUNK,
    }
    return ledger.form.http.post(
        f"{ledger.form.path}/fields/needed/uploads",
        data={name: str(value) for name, value in said.items()},
        files={"file": ("a.pdf", content[index * CHUNK : (index + 1) * CHUNK])},
    )


@pytest.mark.parametrize("point", IN_BETWEEN)
def test_an_api_killed_in_the_middle_of_a_chunk_has_all_of_it_or_nothing(
    faulty: FaultyStack, ledger: Ledger, point: str
) -> None:
    content = document()
    last = -(-len(content) // CHUNK) - 1
    assert last, "there are several"
    sent = [chunk(ledger, content, index) for index in range(1, last + 1)]
    upload = sent[0].json()
    old = faulty.pid("api")
    with faulty.crashing(point) as victim:
        with pytest.raises(httpx.HTTPError):
            chunk(ledger, content, 0)
        assert victim() == old
    faulty.back("api", old)
    faulty.whole()
    read = ledger.read(upload["id"])
    kept = len(content) - (CHUNK if point == BEFORE_THE_OFFSET else 0)
    assert read["progress"]["received"] == kept
    again = [chunk(ledger, content, index) for index in range(last + 1)]
    assert {answer.is_success for answer in again} == {True}
    ledger.enter(again[-1].json(), content, ledger.form)
    ledger.wait(upload["id"], "stored")
    ledger.settle()
