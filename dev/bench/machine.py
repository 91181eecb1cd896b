"""The machine the figures are from, and whether it can be measured on at all."""

import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.say import Problem

MIB, GIB = 1 << 20, 1 << 30
HASHED = 64


def describe(folder: Path) -> dict[str, str]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    return {
        "cpu": f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "volume": _file_system(folder),
        "sha256": f"{_sha256_speed():.0f} MB/s a core",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


@contextmanager
def scratch(parent: Path, needed: int) -> Iterator[Path]:
    """A folder on the volume to measure, removed in the end with all that is in it."""
    if sys.platform != "linux":
        raise Problem("bench: it reads /proc and sends from a memfd, so it needs Linux")
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise Problem(
            f"bench: {parent} has {free / GIB:.1f} GiB free and this needs"
            f" {needed / GIB:.1f}: try --quick, or --dir on another volume"
        )
    with tempfile.TemporaryDirectory(
        prefix="bench-", dir=parent, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _sha256_speed() -> float:
    """Longshore hashes all it receives. Processors with instructions for it take a fraction of the
    time, so this alone can decide how it stands beside a server that doesn't hash."""
    block = bytes(MIB)
    digest, began = hashlib.sha256(), time.perf_counter()
    for _ in range(HASHED):
        digest.update(block)
    return HASHED * MIB / 1e6 / (time.perf_counter() - began)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system that `folder` is on: the longest mount point above it."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        _, point, what, *_ = line.split()
        if folder.is_relative_to(point) and len(point) > len(best):
            best, kind = point, what
    return kind
