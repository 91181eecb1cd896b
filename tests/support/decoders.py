"""Decoders whose children do what a test says, in place of their work."""

import asyncio
import ctypes
import json
import platform
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.policy import FilePolicy
from worker.children import Children, Commands
from worker.errors import FileRejected, TransientError
from worker.sandbox import Decoder, Processed

ACCEPT = ("image/jpeg", "image/png", "application/pdf")

PROBE = """
import ctypes, errno, functools, json, mmap, os, resource, signal, socket, subprocess, sys, threading, time
from pathlib import Path
from worker.decoder.confine import FILE_BYTES, NEEDED_WHEN_LOADED, confine as really_confine
print = functools.partial(print, flush=True)  # a forked child ends without doing it
def live(parent):
    global request
    request = json.load(open(0, closefd=False))
    os.chdir(request["scratch"])
    seen.clear()
    do()
READABLE = NEEDED_WHEN_LOADED
seen = {}
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, call):
    try:
        seen[name] = str(call())
    except OSError as error:
        seen[name] = errno.errorcode.get(error.errno, str(error))
    except BaseException as error:
        seen[name] = type(error).__name__
def call(number, *arguments):
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return "done"
def answer():
    Path("seen.json").write_text(json.dumps(seen))
    verdict = {"result": "rejected", "code": "probe", "params": {}, "detected_type": None}
    print(json.dumps(verdict))
def confine(readable=NEEDED_WHEN_LOADED):
    held = really_confine(Path(request["staged"]), Path(request["scratch"]),
        cpu_seconds=request["cpu_seconds"], parent_pid=os.getppid(), readable=readable)
    seen["held"] = ",".join(held)
"""
ENDS = {
    "forked": """
from worker.decoder import zygote
zygote.main(int(sys.argv[1]), zygote.Life(live))
""",
    "fresh": "READABLE = None  # it has yet to load all\nlive(int(sys.argv[1]))",
}
WAYS = list(ENDS) if sys.platform == "linux" else ["fresh"]

LEAVE_PID = "Path('pid').write_text(str(os.getpid()))\n"


@asynccontextmanager
async def decoder_of(way: str, code: str | None = None) -> AsyncIterator[Decoder]:
    """One whose children do `code` in place of their work."""
    commands = Commands()
    if code is not None:
        body = "def do():\n" + "".join(f"    {line}\n" for line in code.splitlines())
        command = (sys.executable, "-P", "-s", "-c", PROBE + body + ENDS[way])
        commands = Commands(zygote=command, fresh=command)
    async with Decoder(Children(forked=way == "forked", commands=commands)) as decoder:
        yield decoder


def stage(folder: Path, content: bytes) -> Path:
    path = folder / "upl_x"
    path.write_bytes(content)
    return path


async def run(
    decoder: Decoder, staged: Path, scratch: Path, *, seconds: float = 20, **rules: Any
) -> Processed:
    known: dict[str, Any] = {"accept": ACCEPT, "max_bytes": 10**8}
    policy = FilePolicy.model_validate(known | rules)
    return await decoder.process(
        staged, scratch, policy=policy, field="headshot", deadline_seconds=seconds
    )


async def failure_of(way: str, scratch: Path, code: str, *, seconds: float = 20) -> TransientError:
    """How a child fails that does `code`."""
    async with decoder_of(way, code) as decoder:
        with pytest.raises(TransientError) as failure:
            await run(decoder, stage(scratch.parent, b"staged"), scratch, seconds=seconds)
    return failure.value


async def probe(way: str, folder: Path, code: str) -> dict[str, Any]:
    """What the child saw while it did `code`."""
    scratch = folder / "scratch"
    scratch.mkdir()
    async with decoder_of(way, code + "\nanswer()") as decoder:
        with pytest.raises(FileRejected) as verdict:
            await run(decoder, stage(folder, b"staged"), scratch)
    assert verdict.value.code == "probe"
    seen: dict[str, Any] = json.loads((scratch / "seen.json").read_text())
    return seen


def holds(held: str, what: str) -> None:
    """Make sure that the child is held as far as this kernel can: a child that isn't, on a kernel
    that could, is no reason to skip what it may not do."""
    if what not in held.split(","):
        assert what not in CLOSED_BY_KERNEL, f"{what} is open, and this kernel could close it"
        pytest.skip(f"this kernel can't close {what}")


def _landlock_version() -> int:
    ask = ctypes.CDLL(None).syscall
    return int(ask(_LANDLOCK_CREATE_RULESET, None, 0, _ASK_FOR_VERSION))


def _closed_by_kernel() -> frozenset[str]:
    closed = set[str]()
    if LANDLOCK_VERSION > 0:
        closed.add("files")
    if platform.machine() in ("x86_64", "aarch64") and Path("/proc/sys/kernel/seccomp").exists():
        closed |= {"network", "processes"}
    return frozenset(closed)


_LANDLOCK_CREATE_RULESET, _ASK_FOR_VERSION = 444, 1
LANDLOCK_VERSION = _landlock_version() if sys.platform == "linux" else 0
CLOSED_BY_KERNEL = _closed_by_kernel()


def alive(pid: int) -> bool:
    """Whether the process runs: an orphan that ended may wait for somebody to bury it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


async def ends(pid: int) -> bool:
    """Whether the process ends within a second."""
    for _ in range(100):
        if not alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


async def pid_in(scratch: Path) -> int:
    """The id that the child left in its scratch folder."""
    for _ in range(1000):
        path = scratch / "pid"
        if path.exists() and path.read_text():
            return int(path.read_text())
        await asyncio.sleep(0.01)
    raise AssertionError("no child has begun")
