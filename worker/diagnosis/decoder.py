"""What the kernel takes from a decoding child here, and what its libraries read.

Tried in a child, as the decoder's are: what is given up is given up for good.
"""

import asyncio
import json
import sys
import tempfile

from shared.finding import Finding, ok, warning

NAME = "decoder"
SECONDS = 20.0
_CLOSED = ("files", "network", "processes")
_HOW = {
    "files": "it may read what the worker may (no Landlock: Linux 5.13 or newer has it)",
    "network": "it may open connections (no seccomp filter for this kernel or processor)",
    "processes": "it may start programs (no seccomp filter for this kernel or processor)",
}
_TRY = """
import json, os, sys
from pathlib import Path
from worker.decoder.confine import confine
own = Path(sys.argv[1])
held = confine(own / "staged", own, cpu_seconds=10, parent_pid=os.getppid())
import pyvips
loaders = ("jpegload", "pngload", "webpload")
found = [name for name in loaders if pyvips.type_find("VipsForeignLoad", name)]
version = ".".join(str(pyvips.version(part)) for part in range(3))
print(json.dumps({"held": held, "loaders": found, "version": version}))
"""


async def check_decoder() -> list[Finding]:
    """What stays open is a warning: limits of memory, time and size hold everywhere."""
    with tempfile.TemporaryDirectory(prefix="longshore-") as folder:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _TRY, folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip # one command is one line
        try:
            async with asyncio.timeout(SECONDS):
                said, complaint = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            return [warning(NAME, f"a child didn't start within {SECONDS:g} s")]
    if child.returncode:
        lines = complaint.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"status {child.returncode}"
        return [warning(NAME, f"a child doesn't start ({reason}); nothing can be decoded")]
    about = json.loads(said)
    return [*_closed(about["held"]), _reads(about["version"], about["loaders"])]


def _closed(held: list[str]) -> list[Finding]:
    open_ones = [warning(NAME, _HOW[each]) for each in _CLOSED if each not in held]
    return open_ones or [ok(NAME, "has no way to other files, the network or new processes")]


def _reads(version: str, loaders: list[str]) -> Finding:
    names = ", ".join(name.removesuffix("load") for name in loaders)
    return ok("libvips", f"{version} reads {names}")
