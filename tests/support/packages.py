"""Packages from npm: uploaders as people use them, and the tools that build a page with them."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.stack import CHECKOUT

LISTED = CHECKOUT / "tests/browser/packages"
SECONDS = 300


def installed() -> Path:
    """The folder with `node_modules`: made once for each lock file, by who needs it first.

    Skips where it can't be, and fails in CI.
    """
    npm = shutil.which("npm")
    if npm is None:
        _without("no npm on this machine: apt-get install npm")
    lock = (LISTED / "package-lock.json").read_bytes()
    folder = CHECKOUT / f".venvs/npm-{hashlib.sha256(lock).hexdigest()[:12]}"
    with folder.with_suffix(".in-use").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.exists():
            _install(npm, folder)
    return folder


def _install(npm: str, folder: Path) -> None:
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(LISTED, unfinished)
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        words, cwd=unfinished, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        _without(f"npm can't install what {LISTED.name}/ lists: {done.stderr[-1000:]}")
    unfinished.rename(folder)


def _without(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run_tool(name: str, *words: str, cwd: Path) -> str:
    """Run a program that the packages bring, such as `esbuild` or `tsc`; what it printed.

    Whatever it looks for from `cwd` it finds among them.
    """
    modules = installed() / "node_modules"
    (cwd / "node_modules").unlink(missing_ok=True)
    (cwd / "node_modules").symlink_to(modules)
    done = subprocess.run(
        [str(modules / ".bin" / name), *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{name} {' '.join(words)}:\n{done.stdout}{done.stderr}"
    return done.stdout


def bundle(folder: Path, entry: str) -> None:
    """One script of `entry` and all it imports, beside it as `bundle.js`, and its styles as
    `bundle.css`, as a site's own build would make them."""
    words = ["--bundle", "--format=esm", "--outfile=bundle.js", "--log-level=warning"]
    run_tool("esbuild", entry, *words, "--jsx=automatic", cwd=folder)
