"""A backup and a restore by the commands of docs/deployment.md, as they stand there, while people upload."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support import engine
from tests.support.compose import CHECKOUT
from tests.support.engine import Deployment, deployment, until
from tests.support.uploading import people

pytestmark = pytest.mark.slow


def commands(heading: str) -> str:
    """The first block of commands below a heading."""
    docs = (CHECKOUT / "docs/deployment.md").read_text("utf-8")
    section = re.split(rf"^#+ {heading}$", docs, maxsplit=1, flags=re.MULTILINE)[1]
    block = re.search(r"```\n(.*?)```", section, re.DOTALL)
    assert block
    return block[1]


def carried_out(script: str, made: Deployment) -> str:
    """What the commands say, on both streams, in the folder of the deployment's `.env`."""
    programs = made.folder / "programs"
    programs.mkdir(exist_ok=True)
    words = shlex.join(map(str, made.command()))
    program = programs / "docker"
    program.write_text(f'#!/bin/sh\n[ "$1" = compose ] && shift && exec {words} "$@"\nexit 64\n')
    program.chmod(0o755)
    return subprocess.run(
        ["bash", "-c", script],
        cwd=made.folder,
        env={**os.environ, **engine.CLEARED, "PATH": f"{programs}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout


def test_what_was_acknowledged_before_a_backup_is_there_after_its_restore(
    running: Deployment, tmp_path: Path, notes: list[str]
) -> None:
    running("down")
    with deployment("longshore-backup", tmp_path) as made:
        made.overrides = engine.build_override(tmp_path)
        made.up()
        with people(made.url) as uploading:
            until(uploading.more, "people upload")
            before = list(uploading.uploads)
            said = carried_out(commands("Backup"), made)
            until(uploading.more, "and go on")
        made.remove()
        said += carried_out(commands("Restoring"), made)
        found = re.findall(r"^(?:ok|wrong) +(STAGING_DIR|S3_BUCKET) .*$", said, re.MULTILINE)
        assert found == ["STAGING_DIR", "S3_BUCKET"], said
        assert not re.search("is not in the bucket", said), said
        for form, upload in before:
            form.http = httpx.Client(base_url=made.url, headers=form.http.headers, trust_env=False)
            read = form.final(dict(upload))
            assert read["status"] == "stored", said
            path = f"/v1/uploads/{upload['id']}/content"
            content = form.http.get(path, follow_redirects=True).content
            assert hashlib.sha256(content).hexdigest() == read["object"]["sha256"]
    notes.append(f"backup: {len(before)} uploads before it, {len(uploading.uploads)} in all")
    shutil.rmtree(tmp_path / "backup")
    running.up()
