"""The commands that the runbook has an operator type are carried out, where no engine is needed."""

import re
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.support.client import FormClient
from tests.support.files import png
from tests.support.stack import CHECKOUT, Stack

PAGE = (CHECKOUT / "docs/runbook.md").read_text("utf-8")
TYPED = sorted(set(re.findall(r"^docker compose exec (api|worker) (.+)$", PAGE, re.MULTILINE)))


def environment(stack: Stack, service: str) -> Mapping[str, str]:
    """Of the running service, as a shell in its container would have it."""
    raw = Path(f"/proc/{stack.pid(service)}/environ").read_text()
    env = dict(entry.split("=", 1) for entry in raw.split("\0") if entry)
    beside = f"{CHECKOUT}/.venvs/run/bin:{env['PATH']}"
    return {"SCRATCH_DIR": str(stack.state_dir), **env, "PATH": beside}


def carried_out(stack: Stack, typed: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    service, line = typed
    return subprocess.run(
        ["sh", "-c", line],
        cwd=CHECKOUT,
        env=environment(stack, service),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow  # a dozen processes, whose modules have tests of their own
@pytest.mark.parametrize("stack", ["sqlite"], indirect=True)
def test_what_is_typed_into_a_container_works_in_its_service(stack: Stack) -> None:
    form = FormClient(stack.url, "acceptance")
    form.stored("needed", png())
    (Path(stack.info["staging_dir"]) / "quarantine/upl_orphan").touch()
    with ThreadPoolExecutor() as side_by_side:
        for typed, ran in zip(
            TYPED, side_by_side.map(partial(carried_out, stack), TYPED), strict=True
        ):
            assert ran.returncode == 0, f"{typed}\n{ran.stdout}{ran.stderr}"
    assert not (Path(stack.info["staging_dir"]) / "quarantine/upl_orphan").exists()


def test_the_page_has_such_commands_for_both_services() -> None:
    assert {service for service, _ in TYPED} == {"api", "worker"}
