"""A copy of the checkout, in which tests run while one of its files is changed."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from dev import CHECKOUT, environments
from dev.mutation.operators import Mutant
from dev.processes import die_with_parent
from dev.say import Problem

PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-q", "--no-header")
PATIENCE, START_SECONDS = 5, 30
"""A test may take so many times as long as the slowest of a trial did, and this for its start."""
ENDED_WHEN_LATE = ("-o", "faulthandler_exit_on_timeout=true")
_FIRST = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
_FAILED, _INTERRUPTED, _USAGE = 1, 2, 4


class Verdict(StrEnum):
    NOTICED = "noticed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    UNTESTED = "no test runs it"


@dataclass(frozen=True)
class Trial:
    verdict: Verdict
    by: str = ""  # the test that noticed


class Tree:
    def __init__(self, checkout: Path, folder: Path, env: Mapping[str, str]) -> None:
        """Copy what git knows of the checkout, or would, to `folder`, which is ours alone."""
        self.checkout = checkout
        self.root = folder
        self._env = {**os.environ, **env, "PYTHONPATH": str(folder)}
        if folder.exists():
            shutil.rmtree(folder)
        for name in _files(checkout):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, folder / name)
        if environments.ROOT.exists():
            (folder / environments.ROOT.name).symlink_to(environments.ROOT)

    @cached_property
    def product(self) -> str:
        """A digest of what decides which lines a test runs, but for the files of tests."""
        return self.digest(
            name
            for name in _files(self.checkout)
            if not Path(name).name.startswith("test_")
            and not name.startswith(("dev/", "docs/", "browser/"))
            and not name.endswith(".md")
        )

    def digest(self, names: Iterable[str]) -> str:
        digest = hashlib.sha256()
        for name in sorted(names):
            digest.update(name.encode() + b"\0" + (self.root / name).read_bytes())
        return digest.hexdigest()

    def measure(self, files: list[str], modules: list[str]) -> dict[str, Any]:
        """Run the files' tests: of each its seconds, whether it passes, and which lines of the
        modules it runs. See `measuring.py`."""
        with tempfile.TemporaryDirectory(prefix="longshore-") as folder:
            output = Path(folder) / "measured.json"
            env = {
                "LONGSHORE_MUTATION": str(output),
                "LONGSHORE_MUTATION_MODULES": ",".join(modules),
                "PYTHONPATH": os.pathsep.join(
                    (str(self.root), str(CHECKOUT), _site_packages("coverage"))
                ),
            }
            process = self._pytest(["-p", "dev.mutation.measuring", *files], env)
            said, _ = process.communicate()
            if not output.exists():
                raise Problem(f"the tests could not be measured:\n{said[-3000:]}")
            measured: dict[str, Any] = json.loads(output.read_text("utf-8"))
            return measured

    def try_(self, mutant: Mutant, tests: Mapping[str, float]) -> Trial:
        """Whether one of the tests, given with their seconds, notices; the first one ends it."""
        if not tests:
            return Trial(Verdict.UNTESTED)
        path = self.root / mutant.file
        original, times = path.read_bytes(), path.stat()
        path.write_bytes(mutant.applied_to(original))
        try:
            patience = PATIENCE * max(tests.values()) + START_SECONDS
            process = self._pytest(
                ["-x", "-o", f"faulthandler_timeout={patience}", *ENDED_WHEN_LATE, *tests],
                {"PYTHONDONTWRITEBYTECODE": "1"},
            )
            try:
                said, _ = process.communicate(timeout=patience * len(tests))
            except subprocess.TimeoutExpired:  # at its start or its end
                return Trial(Verdict.TIMED_OUT)
            finally:
                with suppress(ProcessLookupError):  # and what it started
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        finally:
            path.write_bytes(original)  # with its time, so that what was compiled holds again
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        if process.returncode in {_INTERRUPTED, _USAGE}:
            self._require_collectable(tests)
        return _judge(process.returncode, said)

    def _require_collectable(self, tests: Iterable[str]) -> None:
        """Raise `Problem` if the tests can't be imported without the change either, as when their
        environment went away: then nothing was noticed."""
        process = self._pytest(["--collect-only", *tests], {})
        said, _ = process.communicate()
        if process.returncode:
            raise Problem(f"the tests can't be run any more:\n{said[-3000:]}")

    def _pytest(self, arguments: list[str], env: Mapping[str, str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, *PYTEST, *arguments],
            cwd=self.root,
            env={**self._env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - no thread of ours is running
        )


def _judge(code: int, said: str) -> Trial:
    """By pytest's exit code; a changed module that can't be imported was noticed, too."""
    if code == 0:
        return Trial(Verdict.SURVIVED)
    if code == _FAILED and "Timeout (" in said and not _FIRST.search(said):
        return Trial(Verdict.TIMED_OUT)
    broken_import = code == _USAGE and "while loading conftest" in said
    if code in {_FAILED, _INTERRUPTED} or code < 0 or broken_import:
        first = _FIRST.search(said)
        return Trial(Verdict.NOTICED, first[1] if first else "all of them")
    raise Problem(f"pytest ended with {code}:\n{said[-3000:]}")


def _files(checkout: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {name for name in listed.stdout.split("\0") if name}
    return sorted(name for name in names if (checkout / name).is_file())


def _site_packages(name: str) -> str:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(environments.ENVIRONMENTS[name].folder / "lib" / version / "site-packages")
