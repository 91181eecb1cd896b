"""Confine this process as LibreOffice's, and say what the kernel closed: a list, as JSON.

`python -m worker.office.rehearse PROGRAM FOLDER PARENT`
"""

import json
import sys
from pathlib import Path

from worker.office.confine import confine

CPU_SECONDS = 10

if __name__ == "__main__":
    program, own, parent = sys.argv[1:]
    held = confine(None, Path(own), Path(program), cpu_seconds=CPU_SECONDS, parent_pid=int(parent))
    sys.stdout.write(json.dumps(held))
