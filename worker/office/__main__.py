"""What becomes LibreOffice: it gives up all it can, and starts the program in its own place."""

import json
import os
import sys
from pathlib import Path

from worker.office.confine import confine


def main(request: str) -> None:
    asked = json.loads(request)
    own, program = Path(asked["own"]), Path(asked["program"])
    document = asked["document"]
    confine(
        Path(document) if document else None,
        own,
        program,
        cpu_seconds=asked["cpu_seconds"],
        parent_pid=asked["parent_pid"],
    )
    environment = {
        "HOME": str(own),
        "TMPDIR": str(own),
        "XDG_CACHE_HOME": str(own),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "SAL_USE_VCLPLUGIN": "svp",  # draws without a screen
        "MALLOC_ARENA_MAX": "2",
    }
    command = [str(program), *asked["arguments"]]
    os.execve(program, command, environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1])
