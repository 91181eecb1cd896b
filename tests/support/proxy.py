"""The proxy by its shipped rules, with other addresses, and the names it finds replicas by."""

import contextlib
import http.client
import json
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.ports import free_port
from tests.support.stack import CHECKOUT

CONFIG = CHECKOUT / "deploy/proxy/nginx.conf"
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
SECONDS = 10
TO_THE_API = "location / {\n            set $api api;"


class Names:
    """Docker's DNS: one name, an address for each replica."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((FIRST, 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                query, client = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        question = query[12 : query.index(b"\0", 12) + 5]
        assert question.startswith(b"\x03api\0")
        head = query[:2] + struct.pack(">5H", 0x8180, 1, len(self.addresses), 0, 0)
        records = [
            b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address)
            for address in self.addresses
        ]
        return head + question + b"".join(records)

    def close(self) -> None:
        self._socket.close()


@dataclass
class Proxy:
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{FIRST}:{self.port}"

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(FIRST, self.port, timeout=SECONDS)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def open(self, head: str) -> socket.socket:
        connection = socket.create_connection((FIRST, self.port), timeout=SECONDS)
        connection.sendall(head.replace("\n", "\r\n").encode())
        return connection

    def logged(self) -> list[dict[str, object]]:
        """The lines of its log, which is written after the answer."""
        until = time.monotonic() + 5
        while not self.log.read_text().endswith("\n") and time.monotonic() < until:
            time.sleep(0.01)
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextlib.contextmanager
def run_proxy(
    folder: Path, names: Names, api_port: int, location: str = TO_THE_API
) -> Iterator[Proxy]:
    """The shipped rules; `location` stands in place of the one that leads to the api."""
    port = free_port()
    log = folder / "access.log"
    config = CONFIG.read_text("utf-8")
    for ours, theirs in (
        ("resolver 127.0.0.11 valid=1s", f"resolver {FIRST}:{names.port} valid=1s"),
        ("listen 8080;", f"listen {FIRST}:{port};"),
        (TO_THE_API, location),
        ("http://$api:8000;", f"http://$api:{api_port};"),
        ("access_log /dev/stdout json;", f"access_log {log} json;"),
        ("pid /tmp/nginx.pid;", f"pid {folder}/nginx.pid;"),
    ):
        assert config.count(ours) == 1, ours
        config = config.replace(ours, theirs)
    with run_nginx(folder, config.replace("_temp_path /tmp/", f"_temp_path {folder}/"), port):
        yield Proxy(port, log)


@contextlib.contextmanager
def run_nginx(folder: Path, config: str, port: int) -> Iterator[None]:
    """An nginx, once it listens."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None:
        pytest.skip("no nginx here")
    (folder / "nginx.conf").write_text(config)
    # as compose.yaml starts it
    words = [nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-g", "daemon off;"]
    with (folder / "error.log").open("wb") as errors:
        process = subprocess.Popen(words, stderr=errors)
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((FIRST, port)).close()
                break
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)
