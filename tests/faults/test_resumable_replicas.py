"""Two replicas behind the shipped proxy, one of them killed amid an upload that comes in pieces: the
other goes on at once with all that was acknowledged, and nothing but the whole is ever a file."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from dev.ports import free_port
from tests.support.client import FormClient
from tests.support.faulty_stack import FaultyStack
from tests.support.ledger import Ledger, document
from tests.support.proxy import FIRST, SECOND, Names, run_proxy
from tests.support.second import second_process, until_ready

PIECES = 3
POINTS = (
    "api-after-segment-fsync",
    "api-after-offset",
    "api-after-join",
    "api-before-finish",
    "api-after-commit",
)
SECONDS = 30
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def proxy(faulty: FaultyStack, tmp_path: Path) -> Iterator[str]:
    """The address of the proxy before both; the second api is started anew when it dies, too."""
    own = {"HOST": SECOND, "INTERNAL_PORT": str(free_port())}
    running: list[subprocess.Popen[bytes]] = []
    over = threading.Event()

    def keep() -> None:
        while not over.wait(0.1):
            if not running or running[-1].poll() is not None:
                with contextlib.suppress(OSError, IndexError):  # the first is starting anew itself
                    running.append(second_process(faulty, "api", own, tmp_path / "second.log"))

    keeper = threading.Thread(target=keep)
    keeper.start()
    names = Names(FIRST, SECOND)
    try:
        until_ready(f"http://{SECOND}:{faulty.port}/readyz")
        with run_proxy(tmp_path, names, faulty.port) as before:
            yield before.url
    finally:
        over.set()
        keeper.join()
        names.close()
        running[-1].terminate()
        running[-1].wait(20)


class Sending:
    """Sends one file through the proxy as clients do that begin again wherever they are told to."""

    def __init__(self, url: str) -> None:
        self.content = document()
        self.form = FormClient(url, "acceptance")
        self.acknowledged = 0
        """Bytes, the most that an answer told of."""

    def by_tus(self) -> str:
        """The upload's id, once all of it is here; so with the others."""
        path = f"{self.form.path}/fields/needed/tus"
        headers = {**TUS, "Upload-Length": str(len(self.content)), "Idempotency-Key": "one"}
        url = self._persist(lambda: self.form.http.post(path, headers=headers)).headers["location"]
        at = 0
        while at < len(self.content):
            end = min(at + self._size, len(self.content))
            headers = {**TUS, **BYTES, "Upload-Offset": str(at)}
            with contextlib.suppress(httpx.HTTPError):
                self.form.http.patch(url, content=self.content[at:end], headers=headers)
            asked = self._persist(lambda: self.form.http.head(url, headers=TUS))
            at = self._told(asked)
        return str(url.rpartition("/")[2])

    def by_filepond(self) -> str:
        path = f"{self.form.path}/fields/needed/filepond"
        headers = {"Upload-Length": str(len(self.content)), "Idempotency-Key": "one"}
        fields = {"needed": (None, "{}")}
        begun = self._persist(lambda: self.form.http.post(path, files=fields, headers=headers))
        where = {"patch": begun.text}
        for start in range(0, len(self.content), self._size):
            piece = self.content[start : start + self._size]
            headers = {**BYTES, "Upload-Offset": str(start)}
            self._persist(
                lambda sent=piece, said=headers: self.form.http.patch(  # type: ignore[misc] # bound
                    path, params=where, content=sent, headers=said
                )
            )
            told = self._told(self._persist(lambda: self.form.http.head(path, params=where)))
            assert told >= start + len(piece)
        return begun.text

    def by_dropzone(self) -> str:
        path, count = f"{self.form.path}/fields/needed/uploads", -(-len(self.content) // self._size)

        def put(index: int) -> httpx.Response:
            said = {
                "dzuuid": "6b1f",
                "dzchunkindex": index,
                "dztotalfilesize": len(self.content),
                "dzchunksize": self._size,
                "dztotalchunkcount": count,
                "dzchunkbyteoffset": index * self._size,
            }
            piece = self.content[index * self._size : (index + 1) * self._size]
            data = {name: str(value) for name, value in said.items()}
            files = {"file": ("a.pdf", piece)}
            return self._persist(lambda: self.form.http.post(path, data=data, files=files))

        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(put, range(count)))
        return str(answers[0].json()["id"])

    @property
    def _size(self) -> int:
        return -(-len(self.content) // PIECES)

    def _told(self, answer: httpx.Response) -> int:
        at = int(answer.headers["upload-offset"])
        assert at >= self.acknowledged, "an acknowledged byte is lost"
        self.acknowledged = at
        return at

    def _persist(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Ask until it is answered, and by what isn't to be tried again."""
        deadline = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = ask()
                if answer.is_success:
                    return answer
                assert answer.status_code in (409, 423, 502, 503), answer.text
            assert time.monotonic() < deadline, "it is stuck"
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["tus", "filepond", "dropzone"])
def test_a_replica_killed_amid_an_upload_leaves_the_other_all_that_was_acknowledged(
    faulty: FaultyStack, ledger: Ledger, proxy: str, way: str
) -> None:
    for point in POINTS:
        sending = Sending(proxy)
        send = {
            "tus": sending.by_tus,
            "filepond": sending.by_filepond,
            "dropzone": sending.by_dropzone,
        }[way]
        with faulty.crashing(point) as victim:
            upload_id = send()
            assert victim()
        listed = sending.form.read()["uploads"]["needed"]
        assert [each["id"] for each in listed] == [upload_id], "no piece is a file"
        ledger.enter({"id": upload_id, "field": "needed"}, sending.content, sending.form)
        faulty.whole()
        ledger.wait(upload_id, "stored")
    ledger.settle()
