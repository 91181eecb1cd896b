"""Run the image room on one file in a process of its own, and say what that took.

`python -m tests.formats.measured FILE FOLDER RULES`, with the rules as JSON; prints JSON.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHILD_BYTES = 2 << 30
"""Address space of the decoding child."""


@dataclass(frozen=True)
class Measured:
    code: str | None
    """Of the rejection, None for what was stored."""
    params: dict[str, Any]
    cpu_seconds: float
    peak_mib: int


def measure(folder: Path, content: bytes, **rules: Any) -> Measured:
    """In a new process, with the memory that the decoding child has."""
    (folder / "sent").write_bytes(content)
    made = folder / "made"
    made.mkdir(exist_ok=True)
    arguments = [str(folder / "sent"), str(made), json.dumps(rules)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.formats.measured", *arguments],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(made)},
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return Measured(**json.loads(done.stdout))


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_CHILD_BYTES, _CHILD_BYTES))
    from tests.formats.pictures import run  # noqa: PLC0415 - under the limit, as in the child

    sent, folder, rules = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    content = sent.read_bytes()
    begun = time.process_time()
    rejected = run(folder, content, **rules).rejected
    print(
        json.dumps(
            {
                "code": rejected and rejected.code,
                "params": rejected.params if rejected else {},
                "cpu_seconds": time.process_time() - begun,
                "peak_mib": _peak_kib() // 1024,
            }
        )
    )


def _peak_kib() -> int:
    """Of this process alone: what `getrusage` says has that of the one that started it in it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
