"""Both images, built by their Dockerfiles' own steps, run with what compose.yaml gives them.

There is no engine in this: see `tests/support/image.py` for what stands in its place.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import URL

from dev.ports import free_port
from tests.support.client import FormClient
from tests.support.compose import CHECKOUT, command, composed, environment, run_redis
from tests.support.files import pdf, photo
from tests.support.image import CHROOT, Image, build, copy_of_python, inside, require_privileges
from tests.support.postgres import new_database
from tests.support.s3 import BUCKET, S3Endpoint, run_seaweedfs

pytestmark = pytest.mark.slow  # the build alone takes two minutes

STAGING = "/var/lib/longshore/staging"
SECONDS = 60
UID = 10001


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Image]]:
    require_privileges()
    folder = tmp_path_factory.mktemp("images")
    python = copy_of_python(folder / "python")
    yield {
        name: build(CHECKOUT / f"deploy/Dockerfile.{name}", folder / name, python)
        for name in ("api", "worker")
    }
    shutil.rmtree(folder)  # hundreds of megabytes


@dataclass
class Container:
    """A service of compose.yaml, run in its image; addresses are this machine's."""

    image: Image
    service: dict[str, Any]
    env: dict[str, str]
    volumes: dict[str, tuple[Path, bool]]

    def command(self, words: list[str] | None = None) -> list[str]:
        return inside(
            self.image,
            words or command(self.service.get("command") or self.image.cmd),
            user=self.service["user"],
            tmpfs=tuple(self.service["tmpfs"]),
            volumes=self.volumes,
        )

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            return subprocess.Popen(
                self.command(), env=self.env, stdout=output, stderr=subprocess.STDOUT
            )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(list(words) or None),
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )


@dataclass
class Deployment:
    url: str
    containers: dict[str, Container]
    processes: dict[str, subprocess.Popen[bytes]]
    s3: S3Endpoint
    folder: Path

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def health(self, name: str) -> int:
        """The service's own health check, looked at from within its mounts."""
        words = command(self.containers[name].service["healthcheck"]["test"])
        pid = str(self.processes[name].pid)
        port = self.url.rsplit(":", 1)[1]
        words = [
            word.replace("http://127.0.0.1:8000/", f"http://127.0.0.1:{port}/") for word in words
        ]
        root = str(self.containers[name].image.root)
        env = self.containers[name].env
        joined = ["nsenter", "--target", pid, "--mount", CHROOT, f"--userspec={UID}:{UID}", root]
        done = subprocess.run([*joined, *words], env=env, capture_output=True, check=False)
        return done.returncode


def wait_for(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def adapted(service: dict[str, Any], addresses: dict[str, str]) -> dict[str, str]:
    """What compose.yaml gives, with this machine's addresses for those of its networks."""
    given = environment(service)
    return {name: addresses.get(name, value) for name, value in given.items()}


def volume(image: Image, folder: Path) -> Path:
    """A fresh named volume: it takes over owner and mode of the image's folder."""
    folder.mkdir()
    model = image.path(STAGING).stat()
    os.chown(folder, model.st_uid, model.st_gid)
    folder.chmod(model.st_mode & 0o7777)
    return folder


@pytest.fixture(scope="module")
def deployment(
    images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory, postgres: URL
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    services = composed()["services"]
    with ExitStack() as cleanup:
        _, _, redis_port = cleanup.enter_context(run_redis(folder))
        s3 = cleanup.enter_context(run_seaweedfs(folder / "s3"))
        port, internal_port = free_port(), free_port()
        password = environment(services["redis"])["REDISCLI_AUTH"]
        key = {"S3_ACCESS_KEY_ID": s3.access_key_id, "S3_SECRET_ACCESS_KEY": s3.secret_access_key}
        addresses = {
            "DATABASE_URL": new_database(postgres, "images"),
            "REDIS_URL": f"redis://:{password}@127.0.0.1:{redis_port}/0",
            "INTERNAL_URL": f"http://127.0.0.1:{internal_port}",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "INTERNAL_NAME": "127.0.0.1",
            "INTERNAL_PORT": str(internal_port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "S3_BUCKET": BUCKET,
            "S3_ENDPOINT_URL": s3.url,
            "S3_PUBLIC_ENDPOINT_URL": s3.url,
            **key,
        }
        staging = volume(images["api"], folder / "staging")
        containers = {
            name: Container(
                image=images["worker" if name == "worker" else "api"],
                service=services[name],
                env={
                    **images["worker" if name == "worker" else "api"].env,
                    **adapted(services[name], addresses),
                },
                volumes={
                    mount["target"]: (staging, not mount.get("read_only", False))
                    for mount in services[name].get("volumes", [])
                },
            )
            for name in ("migrate", "api", "worker")
        }
        migrated = containers["migrate"].run()
        assert migrated.returncode == 0, migrated.stderr
        processes: dict[str, subprocess.Popen[bytes]] = {}
        running = Deployment(f"http://127.0.0.1:{port}", containers, processes, s3, folder)
        for name in ("api", "worker"):
            processes[name] = containers[name].start(folder / f"{name}.log")
            cleanup.callback(processes[name].kill)
            wait_for(lambda name=name: running.health(name) == 0, f"{name} is not healthy")  # type: ignore[misc] # of this turn
        yield running


def test_an_image_holds_its_service_and_nothing_to_build_with(images: dict[str, Image]) -> None:
    def names(image: Image, folder: str) -> set[str]:
        return {path.name for path in image.path(folder).iterdir()}

    assert names(images["api"], "/app") == {
        ".venv",
        "api",
        "shared",
        "forms",
        "browser",
        "bind_internal.py",
        "__pycache__",
    }
    assert names(images["worker"], "/app") == {".venv", "worker", "shared"}
    for image in images.values():
        assert not {"pip", "pip3", "uv"} & names(image, "/app/.venv/bin")
        assert image.path("/app").stat().st_uid == 0
        assert image.user == f"{UID}:{UID}"


def test_every_module_of_an_image_is_compiled(images: dict[str, Image]) -> None:
    for name, image in images.items():
        for package in (name, "shared"):
            for source in image.path(f"/app/{package}").rglob("*.py"):
                assert list(source.parent.glob(f"__pycache__/{source.stem}.*.pyc")), source


def test_the_volume_belongs_to_both_services(images: dict[str, Image]) -> None:
    owners = set()
    for image in images.values():
        found = image.path(STAGING).stat()
        owners.add((found.st_uid, found.st_gid, found.st_mode & 0o777))
    assert owners == {(UID, UID, 0o750)}


@pytest.mark.parametrize(
    ("field", "content", "kind"),
    [("headshot", photo, "image/jpeg"), ("resume", pdf, "application/pdf")],
)
def test_an_upload_ends_in_the_bucket(
    deployment: Deployment, field: str, content: Callable[[], bytes], kind: str
) -> None:
    form = FormClient(deployment.url)
    stored = form.stored(field, content(), kind=kind)
    prefix = f"{deployment.s3.url}/{BUCKET}/"
    assert stored["public_url"].startswith(prefix)
    key = stored["public_url"].removeprefix(prefix)
    found = deployment.s3.client.get_object(Bucket=BUCKET, Key=key)
    assert found["ContentLength"] == stored["object"]["size"]
    link = form.http.get(f"/v1/uploads/{stored['id']}/content", follow_redirects=False)
    assert link.headers["location"].startswith(prefix)
    assert httpx.get(link.headers["location"], trust_env=False).content == found["Body"].read()


def test_the_worker_can_write_nothing_but_its_scratch(deployment: Deployment) -> None:
    worker = deployment.containers["worker"]
    writes = {
        place: worker.run("/bin/sh", "-c", f": > {place}/probe").returncode == 0
        for place in ("/app", "/app/shared", STAGING, "/", "/usr", "/scratch", "/tmp")
    }
    assert {place for place, possible in writes.items() if possible} == {"/scratch", "/tmp"}


def test_a_service_is_nobody_in_particular_and_has_no_capabilities(deployment: Deployment) -> None:
    for process in deployment.processes.values():
        status = Path(f"/proc/{process.pid}/status").read_text()
        said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert said["Uid"].split() == [str(UID)] * 4
        assert said["Groups"].split() in ([], [str(UID)])
        assert said["NoNewPrivs"] == "1"
        assert {int(said[kind], 16) for kind in ("CapPrm", "CapEff", "CapBnd")} == {0}


CONFINED = """
import os, sys
from pathlib import Path
from worker.decoder.confine import confine
print(*confine(Path(__file__), Path("/tmp"), cpu_seconds=30, parent_pid=os.getppid()))
"""


def test_the_decoder_is_as_confined_as_outside_and_finds_its_libraries(
    deployment: Deployment,
) -> None:
    code = CONFINED.replace("__file__", "'/etc/hosts'")
    outside = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    worker = deployment.containers["worker"]
    asked = worker.run("python", "-c", f"{code}\nimport pikepdf, puremagic, pyvips")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout == outside.stdout


def test_logs_are_json_and_a_stop_is_clean(deployment: Deployment) -> None:
    """The last of this file: it ends the services."""
    for name in ("worker", "api"):
        process = deployment.processes[name]
        process.terminate()
        assert process.wait(SECONDS) == 0
        lines = deployment.log(name).splitlines()
        assert lines
        assert all(line.startswith("{") for line in lines), lines[:3]
        assert any(f'"{name}_stopped"' in line for line in lines)
