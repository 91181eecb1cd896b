"""One release beside the next: code and schema of two checkouts, while people upload.

`LONGSHORE_BEFORE` names the commit of the release before this one.
"""

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import engine
from tests.support.compose import CHECKOUT
from tests.support.engine import Deployment, deployment, until
from tests.support.uploading import Repeating, people, replaced

BEFORE = os.environ.get("LONGSHORE_BEFORE", "be9ca5f28fca")
"""The last commit without uploads that resume: its schema is 0010."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images_before(
    images: None,  # noqa: ARG001 - it has to be there
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The tag of both images of the checkout before, built by this one's Dockerfiles."""
    folder = tmp_path_factory.mktemp("before")
    asked = ["git", "archive", "--format=tar", BEFORE]
    archived = subprocess.run(asked, cwd=CHECKOUT, capture_output=True, check=False)
    if archived.returncode:
        pytest.skip(f"{BEFORE} is not in this clone's history")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as checkout:
        checkout.extractall(folder, filter="data")
    for name in ("deploy/Dockerfile.api", "deploy/Dockerfile.worker", ".dockerignore"):
        shutil.copy(CHECKOUT / name, folder / name)  # with the secrets of the build
    made = Deployment("longshore-before", folder, folder)
    tagged = {name: {"image": f"longshore-{name}:before"} for name in ("api", "worker")}
    tags = folder / "tags.yaml"
    tags.write_text(json.dumps({"services": tagged}))
    made.overrides = [*engine.build_override(folder), tags]
    made("build")
    return "before"


class Releases:
    """A deployment whose every service may be of either release."""

    def __init__(self, made: Deployment, folder: Path, tag: str) -> None:
        self.made = made
        self._file = folder / "releases.yaml"
        made.overrides = [self._file]
        self._tags = dict.fromkeys(("api", "migrate", "worker"), tag)
        self.turn()

    def turn(self, **tags: str) -> None:
        self._tags |= tags
        images = {
            name: {"image": f"longshore-{'worker' if name == 'worker' else 'api'}:{tag}"}
            for name, tag in self._tags.items()
        }
        self._file.write_text(json.dumps({"services": images}))


@pytest.fixture
def releases(running: Deployment, images_before: str, tmp_path: Path) -> Iterator[Releases]:
    running("down")
    with deployment("longshore-upgrade", tmp_path) as made:
        yield Releases(made, tmp_path, images_before)
    running.up()


@pytest.mark.parametrize("order", [("api", "worker"), ("worker", "api")], ids="-then-".join)
def test_a_release_follows_another_and_every_upload_is_stored(
    releases: Releases, order: tuple[str, str], notes: list[str]
) -> None:
    """Apis of before that stop answer some requests 503, for as long as others take theirs; a client
    that comes back after `Retry-After` meets nothing else."""
    made = releases.made
    made.up("--scale=api=2", "--scale=worker=2")
    client = Repeating()
    with people(made.url, client) as uploading:
        releases.turn(migrate="local")
        made("run", "--rm", "migrate")
        until(uploading.more, "the old code works with the new schema")
        for service in order:
            releases.turn(**{service: "local"})
            replaced(made, service)
            until(uploading.more, "both releases work beside each other")
    which, sent = ", then ".join(order), len(uploading.uploads)
    notes.append(f"upgrade of {which}: {sent} uploads, {client.repeated} requests sent again")
    for service in order:
        assert {c["Config"]["Image"] for c in made.containers(service)} == {
            f"longshore-{service}:local"
        }
