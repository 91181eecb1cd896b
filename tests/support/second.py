"""A second api or worker beside that of a running stack."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from dev.ports import free_port
from tests.support.proxy import FIRST, SECOND, SECONDS, Names, Proxy, run_proxy
from tests.support.stack import CHECKOUT, READY_SECONDS, Stack


def second_process(
    stack: Stack, name: str, own: dict[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """With the environment of the first one, but for its `own`; an empty value takes one away."""
    raw = Path(f"/proc/{stack.pid(name)}/environ").read_bytes().decode()
    environment = dict(entry.split("=", 1) for entry in raw.split("\0") if entry) | own
    environment = {key: value for key, value in environment.items() if value}
    return subprocess.Popen(
        [CHECKOUT / ".venvs/run/bin/python", "-m", name],
        cwd=CHECKOUT,
        env=environment,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )


def until_ready(url: str) -> None:
    """Until this address answers 200."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def two_replicas_behind_the_proxy(stack: Stack, folder: Path) -> Iterator[Proxy]:
    """The stack's api and one more, as the shipped proxy chooses between them."""
    own = {"HOST": SECOND, "INTERNAL_PORT": str(free_port())}
    second = second_process(stack, "api", own, folder / "second.log")
    names = Names(FIRST, SECOND)
    try:
        until_ready(f"http://{SECOND}:{stack.port}/readyz")
        with run_proxy(folder, names, stack.port) as proxy:
            yield proxy
    finally:
        second.terminate()
        second.wait(SECONDS)
        names.close()
