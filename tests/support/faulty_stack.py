"""A stack with faulty links between its parts, and with crash points that a test may arm."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from dev.soak.records import Bucket
from tests.support.links import Link
from tests.support.stack import CHECKOUT, Stack

BACK_WITHIN = 120.0


class FaultyStack(Stack):
    def __init__(
        self,
        state_dir: Path,
        env: Mapping[str, str],
        port: int,
        links: Mapping[str, Link],
        crash_points: Path,
    ) -> None:
        super().__init__(state_dir, env)
        self.port = port
        self.links = links
        self._crash_points = crash_points

    @contextmanager
    def crashing(self, point: str, how: str = "SIGKILL") -> Iterator[Callable[[], int]]:
        """Have who reaches the point first killed, or stopped. Gives a function that waits until
        it happened and says the process's id."""
        armed = self._crash_points / point
        armed.with_suffix(".part").write_text(how)
        armed.with_suffix(".part").rename(armed)
        try:
            yield lambda: self._victim(point)
        finally:
            armed.unlink(missing_ok=True)
            for taken in self._crash_points.glob(f"{point}.*"):
                taken.unlink()

    def _victim(self, point: str) -> int:
        def taken() -> list[Path]:
            return list(self._crash_points.glob(f"{point}.*"))

        until(taken, f"nobody came to {point}")
        return int(taken()[0].suffix.removeprefix("."))

    @contextmanager
    def frozen(self, name: str) -> Iterator[int]:
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def decoders_dying_of(self, upload_id: str) -> Iterator[list[int]]:
        """Have every decoding child crash that reads the upload's file, which should take it
        seconds; their process ids."""
        died: list[int] = []
        over = threading.Event()

        def kill() -> None:
            while not over.wait(0.002):
                for pid in descendants(self.pid("worker")):
                    if pid not in died and _reads(pid, upload_id):
                        os.kill(pid, signal.SIGSEGV)
                        died.append(pid)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            yield died
        finally:
            over.set()
            killer.join()

    def back(self, name: str, old: int) -> None:
        """Wait until a part that was killed runs again."""
        until(lambda: self.info["pids"][name] not in ([], [old]), f"{name} is not back")

    def second_worker(self) -> subprocess.Popen[bytes]:
        """One more, with the environment of the first and a health file of its own."""
        raw = Path(f"/proc/{self.pid('worker')}/environ").read_text()
        env = dict(entry.split("=", 1) for entry in raw.split("\0") if entry)
        env["HEALTH_FILE"] = str(self.state_dir / "second.health")
        with (self.state_dir / "logs/second-worker.log").open("ab") as log:
            return subprocess.Popen(
                [CHECKOUT / ".venvs/run/bin/python", "-m", "worker"],
                cwd=CHECKOUT,
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def redis(self, *command: str) -> str:
        """Redis' answer in its own protocol, past every link."""
        url = urlsplit(self.info["redis_url"])
        lines = ["AUTH " + str(url.password), " ".join(command), "QUIT"]
        with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
            connection.sendall("".join(f"{line}\r\n" for line in lines).encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.decode().removeprefix("+OK\r\n").removesuffix("+OK\r\n")

    def redis_answers(self) -> bool:
        with contextlib.suppress(OSError):
            return "+PONG" in self.redis("PING")
        return False

    def bucket_keys(self) -> list[str]:
        """All keys in the bucket, those of unfinished multiparts too."""
        return [key for of_one in self.bucket.listed().values() for key in of_one]

    @cached_property
    def bucket(self) -> Bucket:
        """Kept, as its address and keys outlive every restart: it knows what it has read."""
        return Bucket(self.info)

    def until_no_key(self, upload_id: str, seconds: float = BACK_WITHIN) -> None:
        until(
            lambda: not [k for k in self.bucket_keys() if upload_id in k], "keys are left", seconds
        )

    def back_end(self) -> httpx.Client:
        """The application's own, which may read every form."""
        headers = {"Authorization": f"Bearer {self.info['service_key']}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=2).status_code == 200
        except (httpx.HTTPError, OSError):
            return False

    def whole(self) -> None:
        """Wait until every part runs and the api answers: one test's faults are not another's."""
        until(lambda: all(self.info["pids"].values()) and self.answers(), "the stack is not whole")


def descendants(pid: int) -> list[int]:
    """Its children and theirs, as far as they still run."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(each) for t in threads for each in (t / "children").read_text().split()]
    except OSError:
        return []  # it ended meanwhile
    return [each for child in children for each in (child, *descendants(child))]


def _reads(pid: int, name: str) -> bool:
    """Whether it has the file open, or in its memory."""
    try:
        opened = [file.readlink().name for file in Path(f"/proc/{pid}/fd").iterdir()]
        return name in opened or name in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False  # it ended meanwhile


def until(condition: Callable[[], object], otherwise: str, seconds: float = BACK_WITHIN) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
