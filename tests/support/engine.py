"""compose.yaml on a container engine, by the commands that docs/deployment.md names."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from dev import environments, pip_settings
from dev.ports import free_port
from tests.support.client import FormClient
from tests.support.compose import CHECKOUT, composed, instructions, read_example, tool

HEALTHY_SECONDS = 60
PATIENCE = 120.0
"""Seconds for what a busy machine may take its time with."""
STAND_INS = CHECKOUT / "tests/engine/standins"
LABEL = "longshore.stand-in"
TARGETS = {
    "python": "python",
    "nginx": "nginx",
    "redis": "redis",
    "postgres": "postgres",
    "chrislusf/seaweedfs": "seaweedfs",
    "clamav/clamav": "clamd",
}
"""The stage of `standins/Dockerfile` that stands in for each image."""
CLEARED = {name: "" for name in os.environ if name.startswith(("S3_", "COMPOSE_"))}
"""Variables of this machine's that Compose would take for settings."""


class EngineError(Exception):
    """A command failed: which, and the end of what it said."""


def run(
    words: Sequence[str | Path], *, given: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """What the command says, on both streams. Raises `EngineError`."""
    done = subprocess.run(
        words,
        cwd=CHECKOUT,
        env={**os.environ, **(env or {})},
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineError(f"{' '.join(map(str, words))}\n{done.stdout[-4000:]}")
    return done.stdout


def docker(*words: str | Path, given: str | None = None) -> str:
    return run(["docker", *words], given=given).strip()


def why_none() -> str | None:
    """Why no engine can be used here; None where one answers."""
    if shutil.which("docker") is None:
        return "there is no docker on the PATH"
    try:
        version = docker("version", "--format", "{{.Server.APIVersion}}")
        docker("buildx", "version")
    except EngineError as error:
        return str(error).splitlines()[-1]
    major, minor = map(int, version.split("."))
    return None if (major, minor) >= (1, 44) else f"the engine is older than 25 (API {version})"


def versions() -> str:
    """Of engine, buildx and Compose, in one line."""
    engine = docker("version", "--format", "{{.Server.Version}}")
    buildx = docker("buildx", "version").split()[1]
    compose = run([tool("docker-compose"), "version", "--short"]).strip()
    return f"engine {engine}, buildx {buildx}, Compose {compose}"


# --- images


def foreign_images() -> list[str]:
    """Those that compose.yaml and the Dockerfiles name, but for the optional scanner's."""
    services = composed()["services"]
    found = {s["image"] for s in services.values() if "profiles" not in s}
    for path in (CHECKOUT / "deploy").glob("Dockerfile.*"):
        found |= {rest.split()[0] for name, rest in instructions(path) if name == "FROM"}
    return sorted(image for image in found if not image.endswith(":local"))


def provide(image: str, *, ask_registry: bool) -> str:
    """Have the image on this engine; `as named`, or which stand-in it is.

    One that is there is taken, then the registry's; a stand-in is built where neither can be had.
    Raises `EngineError` or `OSError` where that can't be built either.
    """
    stand_in = _stand_in(image)
    if stand_in == "":
        return "as named"
    if stand_in is None and ask_registry:
        try:
            docker("pull", "--quiet", image)
        except EngineError:
            pass
        else:
            return "as named"
    _build_stand_in(image)
    return f"a stand-in: {_stand_in(image)}"


def _stand_in(image: str) -> str | None:
    """What stands in for the image; empty when it is the real one, None when it isn't there."""
    try:
        return docker(
            "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', image
        )
    except EngineError:
        return None


def _build_stand_in(image: str) -> None:
    name, _, tag = image.partition(":")
    contexts = [f"--build-context=weed={weed()}"] if "seaweedfs" in name else []
    target = TARGETS[name]
    contents = {"seaweedfs": f"its own binary, {tag}, out of a Python package"}
    label = contents.get(target, f"{target} of Debian's packages")
    ensure_debian()
    docker(
        "buildx", "build", "--quiet", "--load", f"--target={target}", f"--tag={image}",
        f"--label={LABEL}={label}", *contexts, STAND_INS,
    )  # fmt: skip


def ensure_debian() -> None:
    """What the stand-ins are made from: a minimal Debian, made by its own tools. Raises `EngineError`,
    or `OSError` without those."""
    name = "longshore-stand-in-debian"
    try:
        docker("image", "inspect", name)
    except EngineError:
        pass
    else:
        return
    with subprocess.Popen(
        ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "trixie", "-"],
        stdout=subprocess.PIPE,
    ) as debian:
        imported = subprocess.run(
            ["docker", "import", "-", name],
            stdin=debian.stdout,
            stdout=subprocess.DEVNULL,
            check=False,
        )
    if debian.returncode:
        docker("image", "rm", "--force", name)  # of what came until then
        raise EngineError("mmdebstrap made no Debian")
    if imported.returncode:
        raise EngineError("docker import took no Debian")


def weed() -> Path:
    """The folder with SeaweedFS's own binary, in the version that compose.yaml names."""
    environments.ensure("seaweedfs")
    return environments.ENVIRONMENTS["seaweedfs"].folder / "bin"


def build_override(folder: Path) -> list[Path]:
    """This machine's package index and certificates as build secrets, as docs/deployment.md says;
    nothing where pip has no settings here."""
    settings = pip_settings.read(os.environ)
    secrets: dict[str, Path] = {}
    if authority := settings.get("cert"):
        secrets["ca_certificates"] = Path(authority)
    indexes = {
        n: settings[n]
        for n in ("index-url", "extra-index-url")
        if "file://" not in settings.get(n, "file://")
    }
    if indexes:
        conf = folder / "pip.conf"
        conf.write_text("[global]\n" + "".join(f"{n} = {v}\n" for n, v in indexes.items()))
        secrets["pip_conf"] = conf
    if not secrets:
        return []
    override = folder / "mirror.yaml"
    override.write_text(
        json.dumps(  # which is YAML
            {
                "services": {n: {"build": {"secrets": list(secrets)}} for n in ("api", "worker")},
                "secrets": {name: {"file": str(path)} for name, path in secrets.items()},
            }
        )
    )
    return [override]


# --- a deployment


class Deployment:
    """A Compose project of its own, with an `.env` of its own made from the example.

    `settings` are the lines of that file; change them and say `up` again, as an operator does.
    """

    def __init__(self, project: str, folder: Path, checkout: Path = CHECKOUT) -> None:
        self.project, self.folder, self.checkout = project, folder, checkout
        port, s3_port = free_port(), free_port()
        self.overrides: list[Path] = []
        self.settings = read_example() | {
            "PUBLIC_PORT": str(port),
            "PUBLIC_URL": f"http://localhost:{port}",
            "S3_PORT": str(s3_port),
            "S3_PUBLIC_ENDPOINT_URL": f"http://localhost:{s3_port}",
            "MAX_DRAFTS_PER_HOUR": "100000",  # all our people have one address
            # none that a deployment of somebody's own has on this machine
            "PUBLIC_SUBNET": "10.231.178.0/24",
            "FRONT_SUBNET": "10.231.177.0/24",
        }

    @property
    def url(self) -> str:
        return self.settings["PUBLIC_URL"]

    def __call__(self, *words: str, given: str | None = None) -> str:
        """`docker compose …` in this project. Raises `EngineError`."""
        return run([*self.command(), *words], given=given, env=CLEARED)

    def command(self) -> list[str | Path]:
        """What stands for `docker compose` here, with the settings as they are now."""
        env_file = self.folder / ".env"
        env_file.write_text("".join(f"{n}={v}\n" for n, v in self.settings.items()))
        files = [self.checkout / "compose.yaml", *self.overrides]
        return [
            tool("docker-compose"), "--progress=plain", f"--project-name={self.project}",
            f"--project-directory={self.checkout}", f"--env-file={env_file}",
            *(f"--file={path}" for path in files),
        ]  # fmt: skip

    def up(self, *words: str) -> float:
        """Start or change everything, until it is healthy; the seconds it took."""
        began = time.monotonic()
        self("up", "--detach", "--wait", "--no-build", *words)
        return time.monotonic() - began

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine says of the service's containers."""
        ids = self("ps", "--all", "--quiet", service).split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return found

    def execute(self, service: str, *words: str) -> str:
        """What a command says that is carried out in the service's container."""
        return self("exec", "-T", service, *words)

    def runs(self, service: str, *words: str) -> bool:
        """Whether a command in the service's container succeeds."""
        try:
            self.execute(service, *words)
        except EngineError:
            return False
        return True

    def form(self, timeout: float = 60) -> FormClient:
        return FormClient(self.url, timeout=timeout)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def logs(self, service: str) -> list[str]:
        return self("logs", "--no-log-prefix", "--no-color", service).splitlines()

    def remove(self) -> None:
        """Everything of it, the data too."""
        self("--profile=*", "down", "--volumes", "--remove-orphans", "--timeout=1")


@contextmanager
def deployment(project: str, folder: Path, checkout: Path = CHECKOUT) -> Iterator[Deployment]:
    """Removed afterwards, and what an earlier run may have left of it before."""
    made = Deployment(project, folder, checkout)
    made.remove()
    try:
        yield made
    finally:
        made.remove()


def until(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
