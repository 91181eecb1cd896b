"""One conversion with a library alone, in a fresh process that has imported it.

Run as `python -m dev.bench.bare WAY FILE`; prints a `Cost` as JSON.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.bench import by_hand
from dev.bench.memory import resident

WAYS: dict[str, Callable[[bytes], list[bytes]]] = {
    "pillow": by_hand.with_pillow,
    "pyvips": by_hand.with_pyvips,
    "pillow-derivatives": by_hand.derivatives_with_pillow,
    "pyvips-derivatives": by_hand.derivatives_with_pyvips,
    "pyvips-decoded": by_hand.decoded_by_pyvips,
    "pillow-decoded": by_hand.decoded_by_pillow,
    "heif": by_hand.with_heif,
    "pikepdf": by_hand.checked_pdf,
    "pdfium": by_hand.preview,
    "soffice": by_hand.with_soffice,
}


@dataclass(frozen=True)
class Cost:
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of processors."""
    peak: float
    """MiB resident, at the highest, of the largest process."""


def main() -> None:
    make, path = WAYS[sys.argv[1]], Path(sys.argv[2])
    began, cpu = time.perf_counter(), _cpu_seconds()
    for number, made in enumerate(make(path.read_bytes())):
        path.with_name(f"{path.name}.{number}.made").write_bytes(made)
    wall, spent = time.perf_counter() - began, _cpu_seconds() - cpu
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    peak = max(resident("self", "VmHWM"), started)
    json.dump(asdict(Cost(wall, spent, peak)), sys.stdout)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
