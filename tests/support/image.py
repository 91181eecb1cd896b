"""Build a Dockerfile without an engine, and run what came out of it in a root file system of its own.

The instructions are carried out in their order, literally, with the folder as `/`. In place of the
base image it holds this machine's system folders, read-only, and a copy of this Python with pip
where the official image has its own: under /usr/local. What runs in it is confined as compose.yaml
says: its user, no capabilities, a read-only root, tmpfs and volumes where they are named. Memory
limits, networks and the base image itself stay untried.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.compose import CHECKOUT, copied, instructions

SYSTEM = ("usr", "bin", "sbin", "lib", "lib64")
ETC = ("hosts", "resolv.conf", "nsswitch.conf", "ld.so.conf", "ld.so.conf.d", "ssl", "pip.conf")
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin") or "chroot"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The official image's own."""
NOT_NEEDED = shutil.ignore_patterns(
    "test", "tests", "idlelib", "tkinter", "site-packages", "__pycache__", "config-*", "*.a"
)
PASSED_TO_A_BUILD = ("PIP_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def require_privileges() -> None:
    """Skip where no root file system can be put together."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "setpriv", CHROOT))):
        pytest.skip(
            "needs root, unshare, nsenter, setpriv and chroot to put a root file system together"
        )
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("needs mount namespaces, which are closed here")


@dataclass
class Image:
    """A stage: what its files are, and what its instructions say of how it runs."""

    root: Path
    python: Path
    """The folder that is /usr/local in it."""
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    workdir: str = "/"
    user: str = "0:0"
    cmd: list[str] = field(default_factory=list)

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")


def base(root: Path, python: Path) -> Image:
    """What stands for the base image: the system's folders, and Python under /usr/local."""
    for name in (*SYSTEM, "etc", "dev", "proc", "tmp", "root", "var/lib", "var/cache/ldconfig"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ETC:
        source, target = Path("/etc", name), root / "etc" / name
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("private"))
        elif source.exists():
            shutil.copy2(source, target)
    image = Image(root, python)
    _run(image, "ldconfig -X")  # so that Python finds its own library under /usr/local/lib
    return image


def copy_of_python(target: Path) -> Path:
    """This Python's installation, where everybody may read it, with the pip of `ensurepip`."""
    prefix = Path(sys.base_prefix)
    library = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    (target / "bin").mkdir(parents=True)
    executable = Path(sys._base_executable).resolve()  # type: ignore[attr-defined] # what venv uses too
    shutil.copy2(executable, target / "bin/python3")
    (target / "bin/python").symlink_to("python3")
    shutil.copytree(prefix / library, target / library, symlinks=True, ignore=NOT_NEEDED)
    for shared in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy2(shared, target / "lib", follow_symlinks=False)
    env = {"LD_LIBRARY_PATH": str(target / "lib"), "PATH": "/usr/bin:/bin"}
    command = [str(target / "bin/python3"), "-I", "-m", "ensurepip", "--default-pip"]
    subprocess.run(command, env=env, check=True, capture_output=True)
    (target / "bin/pip").write_text('#!/bin/sh\nexec /usr/local/bin/python3 -m pip "$@"\n')
    return target


def build(dockerfile: Path, folder: Path, python: Path) -> Image:
    """Carry out a Dockerfile; its last stage."""
    stages: dict[str, Image] = {}
    image: Image | None = None
    for kind, arguments in instructions(dockerfile):
        if kind == "FROM":
            name = arguments.split(" AS ")[1] if " AS " in arguments else "final"
            image = stages[name] = base(folder / name, python)
            continue
        assert image is not None, "FROM comes first"
        _carry_out(image, kind, arguments, stages)
    assert image is not None
    return image


def _carry_out(image: Image, kind: str, arguments: str, stages: Mapping[str, Image]) -> None:
    if kind == "WORKDIR":
        image.workdir = arguments
        image.path(arguments).mkdir(parents=True, exist_ok=True)
    elif kind in {"ENV", "ARG"}:
        image.env |= dict(pair.split("=", 1) for pair in shlex.split(arguments))
    elif kind == "USER":
        image.user = arguments
    elif kind == "CMD":
        image.cmd = json.loads(arguments)
    elif kind == "COPY":
        _copy(image, arguments, stages)
    elif kind == "RUN":
        options, command = _split_options(arguments)
        caches = [o.split("target=")[1] for o in options if "type=cache" in o]
        _run(image, command, caches)
    else:
        assert kind in {"EXPOSE", "LABEL"}, f"{kind} is not known here"


def _copy(image: Image, arguments: str, stages: Mapping[str, Image]) -> None:
    stage, sources, target = copied(arguments)
    (source,) = sources
    origin = stages[stage].path(source) if stage else CHECKOUT / source
    goal = image.path(str(Path(image.workdir, target)))
    goal.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        # what .dockerignore keeps out of the build
        unwanted = None if stage else shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(origin, goal, symlinks=True, ignore=unwanted, dirs_exist_ok=True)
    else:
        shutil.copy2(origin, goal)


def _split_options(arguments: str) -> tuple[list[str], str]:
    options = []
    """The mounts of a RUN, and what it says. Secrets are optional, and none is given here."""
    while arguments.startswith("--mount="):
        option, _, arguments = arguments.partition(" ")
        options.append(option)
        arguments = arguments.strip()
    return options, arguments


def _run(image: Image, command: str, caches: Sequence[str] = ()) -> None:
    """A cache that the build keeps is this machine's own, where it has one."""
    volumes = {}
    for target in caches:
        kept = Path.home() / Path(target).relative_to("/root")
        kept.mkdir(parents=True, exist_ok=True)
        image.path(target).mkdir(parents=True, exist_ok=True)
        volumes[target] = (kept, True)
    passed = {n: v for n, v in os.environ.items() if n.startswith(PASSED_TO_A_BUILD)}
    done = subprocess.run(
        inside(image, ["/bin/sh", "-c", command], writable=True, volumes=volumes),
        env={**image.env, "HOME": "/root", **passed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


def inside(
    image: Image,
    command: list[str],
    *,
    user: str = "0:0",
    writable: bool = False,
    tmpfs: tuple[str, ...] = ("/tmp",),
    volumes: Mapping[str, tuple[Path, bool]] | None = None,
) -> list[str]:
    """The command that runs `command` in the image's root. `volumes`: target → folder, writable.

    `tmpfs` is written as in compose.yaml: `/scratch:size=1m,mode=0700`.
    """
    root = shlex.quote(str(image.root))
    python = shlex.quote(str(image.python))
    steps = ["set -e", "mount --make-rprivate /"]
    steps.append(f"mount --bind {root} {root}")
    for name in SYSTEM:
        steps.append(f"mount --bind /{name} {root}/{name}")
        steps.append(f"mount -o remount,bind,ro {root}/{name}")
    steps.append(f"mount --bind {python} {root}/usr/local")
    steps.append(f"mount -o remount,bind,ro {root}/usr/local")
    steps.append(f"mount --rbind /dev {root}/dev")
    steps.append(f"mount --rbind /proc {root}/proc")
    for target, (folder, may_write) in (volumes or {}).items():
        steps.append(f"mount --bind {shlex.quote(str(folder))} {root}{target}")
        if not may_write:
            steps.append(f"mount -o remount,bind,ro {root}{target}")
    if not writable:
        steps.append(f"mount -o remount,bind,ro {root}")
    for each in tmpfs:
        target, _, options = each.partition(":")
        options = ",".join(filter(None, ("nosuid,nodev,noexec", options)))
        steps.append(f"mount -t tmpfs -o {options} tmpfs {root}{target}")
    uid, gid = user.split(":")
    drop = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups"]
    if uid != "0":
        drop += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    move = f'cd {shlex.quote(image.workdir)} && exec "$@"'
    entered = [
        shutil.which("chroot") or "chroot",
        str(image.root),
        *drop,
        "/bin/sh",
        "-c",
        move,
        "sh",
        *command,
    ]
    steps.append(f"exec {shlex.join(entered)}")
    return ["unshare", "--mount", "/bin/sh", "-c", "\n".join(steps)]
