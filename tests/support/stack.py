"""A running `./longshore up`, as a test from outside sees it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from dev.ports import free_port

CHECKOUT = Path(__file__).parents[2]
READY_SECONDS = 180
"""A first start makes its environments; a warm one takes a few seconds."""


class Stack:
    """`./longshore up` in a state folder of its own. `info` is its stack.json, read anew."""

    def __init__(self, state_dir: Path, env: Mapping[str, str] | None = None) -> None:
        self.state_dir = state_dir
        self.env = dict(env or {})
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.output = state_dir.parent / f"{state_dir.name}.out"

    def command(self) -> list[str]:
        """What is started, in the checkout."""
        return ["./longshore", "up", "--port", str(self.port), "--state-dir", str(self.state_dir)]

    def start(self) -> "Stack":
        began = time.time()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                cwd=CHECKOUT,
                env={**os.environ, **self.env},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._written_since(began):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"not ready:\n{self.said()}")
            time.sleep(0.1)
        return self

    def resume(self) -> None:
        """Start it again if it was stopped, with all that it kept."""
        if self.process is None:
            self.start()

    def _written_since(self, began: float) -> bool:
        """Whether stack.json is this start's, and not one that a killed `up` left."""
        try:
            return (self.state_dir / "stack.json").stat().st_mtime >= began
        except OSError:
            return False

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    @property
    def info(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.state_dir / "stack.json").read_text())
        return read

    @property
    def url(self) -> str:
        return str(self.info["url"])

    def pid(self, name: str) -> int:
        return int(self.info["pids"][name][0])

    def kill(self, name: str) -> int:
        """`kill -9` one part; the pid that was killed."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_the_api(self, seconds: float = 90) -> None:
        """Until it answers: one that was killed is started again."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/healthz", trust_env=False).is_success:
                    return
            assert time.monotonic() < until, "the api doesn't come back"
            time.sleep(0.1)

    def logs(self, name: str) -> str:
        return (self.state_dir / "logs" / f"{name}.log").read_text(errors="replace")

    def logged(self) -> list[Path]:
        """The logs of all parts."""
        return sorted((self.state_dir / "logs").iterdir())

    def staged_files(self) -> list[str]:
        root = Path(self.info["staging_dir"])
        return sorted(path.name for path in root.rglob("upl_*"))

    def stop(self) -> int:
        """SIGTERM, and wait; the exit status. Raises when it takes more than 10 s."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        finally:
            self.process = None


SHARED_STACKS = pytest.StashKey[dict[tuple[str, str], Stack]]()
"""Of a session, those that its tests share, by the fixture that gives them and its parameter."""


def forms_folder(folder: Path) -> Path:
    """The shipped form types and those for tests: a file of 2 GiB, a tiny one, a crowded field;
    fields that keep what they would reject; and one that uses every key there is."""
    shutil.copytree(CHECKOUT / "forms", folder)
    shutil.copytree(CHECKOUT / "tests/forms", folder, dirs_exist_ok=True)
    (folder / "acceptance.toml").write_text(ACCEPTANCE_FORM)
    (folder / "flagging.toml").write_text(FLAGGING_FORM)
    return folder


ACCEPTANCE_FORM = """
type = "acceptance"
title = "What the tests need"

[[sections]]
name = "only"
title = "Only"

[[sections.fields]]
name = "note"
label = "Note"
kind = "text"
max_length = 20

[[sections.fields]]
name = "bulk"
label = "Bulk"
kind = "file"
accept = ["application/pdf"]
max_bytes = 2_200_000_000
part_bytes = 300_000

[[sections.fields]]
name = "tiny"
label = "Tiny"
kind = "file"
accept = ["application/pdf", "image/png"]
min_bytes = 50
max_bytes = 2_000
messages = { "file-invalid-type" = "Only a PDF or a PNG, please" }

[[sections.fields]]
name = "pair"
label = "Pair"
kind = "file"
accept = ["image/png"]
max_bytes = 100_000
max_files = 2

[[sections.fields]]
name = "needed"
label = "Needed"
kind = "file"
required = true
accept = ["image/png", "application/pdf"]
max_bytes = 100_000
"""

FLAGGING_FORM = """
type = "flagging"
title = "What is kept and flagged"

[[sections]]
name = "only"
title = "Only"

[[sections.fields]]
name = "note"
label = "Note"
kind = "text"
max_length = 20

[[sections.fields]]
name = "pair"
label = "Pair"
kind = "file"
accept = ["image/png"]
max_bytes = 100_000
max_files = 2
flag = ["image-too-small"]
image = { min_width = 40 }

[[sections.fields]]
name = "needed"
label = "Needed"
kind = "file"
required = true
accept = ["image/png", "application/pdf"]
max_bytes = 12_000_000
flag = ["image-too-small", "file-encrypted"]
image = { min_width = 40 }
messages = { "image-too-small" = "Please send a larger one" }
"""
