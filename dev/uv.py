"""uv, which makes the environments: fetched once, by hash, as the wheel that fits this machine."""

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import urlopen

from dev import CHECKOUT, pip_settings
from dev.processes import die_with_parent
from dev.say import Problem

LOCK = CHECKOUT / "requirements/uv.txt"
NO_PIP = (
    "this Python has neither pip nor ensurepip, and no package index is configured;"
    " install one (Debian, Ubuntu: apt-get install python3-venv)"
)
NO_NETWORK = re.compile(
    r"dns error|tcp connect error|error sending request|Temporary failure in name resolution"
    r"|Name or service not known|Failed to establish a new connection|Network is unreachable"
    r"|timed out"
)


def fetch(target: Path) -> None:
    """Put the uv binary at `target`, however this Python can get a wheel."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        wheels = Path(folder)
        if _has("pip"):
            _download([sys.executable, "-m", "pip"], wheels)
        elif _has("ensurepip"):
            run([sys.executable, "-m", "venv", f"{folder}/venv"], "make a virtual environment")
            _download([f"{folder}/venv/bin/python", "-m", "pip"], wheels)
        else:
            _download_without_pip(wheels)
        _unpack(next(wheels.glob("uv-*.whl")), target)


def _has(module: str) -> bool:
    """Tell whether it can be run; Debian takes such parts of Python into packages of their own."""
    try:
        return importlib.util.find_spec(f"{module}.__main__") is not None
    except ModuleNotFoundError:
        return False


def _download(pip: list[str], folder: Path) -> None:
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--retries", "2"]
    run([*pip, "download", "--quiet", *options, "-d", str(folder), "-r", str(LOCK)], "fetch uv")


def _unpack(wheel: Path, target: Path) -> None:
    """Take the binary out of the wheel; nothing else in it is needed."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".data/scripts/uv"))
        part = target.with_suffix(".part")
        with archive.open(name) as source, part.open("wb") as binary:
            shutil.copyfileobj(source, binary)
    part.chmod(0o755)
    part.replace(target)


def _download_without_pip(folder: Path) -> None:
    """Fetch the wheel ourselves, from where pip's settings point; checked by the same hashes."""
    settings = pip_settings.read(os.environ)
    indexes = [settings.get("index-url", ""), *settings.get("extra-index-url", "").split()]
    pages = [f"{index.rstrip('/')}/uv/" for index in indexes if index]
    for page in [*settings.get("find-links", "").split(), *pages]:
        for address in _wheels_of(page, settings):
            content = _read(address, settings)
            if content and hashlib.sha256(content).hexdigest() in LOCK.read_text("ascii"):
                (folder / "uv-found.whl").write_bytes(content)
                return
    raise Problem(NO_PIP)


def _wheels_of(page: str, settings: pip_settings.Settings) -> list[str]:
    """Addresses of the pinned uv's wheels for this machine, on an index page or in a folder."""
    version = re.findall(r"^uv==(\S+)", LOCK.read_text("ascii"), re.MULTILINE)[0]
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    system = libc if sys.platform == "linux" else "macosx"
    wheel = re.compile(rf"uv-{re.escape(version)}-py3-none-{system}[^/]*{platform.machine()}\.whl")
    if Path(page).is_dir():
        return [f.as_uri() for f in Path(page).iterdir() if wheel.fullmatch(f.name)]
    links = re.findall(r'href="([^"#]+)', _read(page, settings).decode(errors="replace"))
    return [urljoin(page, link) for link in links if wheel.search(link)]


def _read(address: str, settings: pip_settings.Settings) -> bytes:
    """Read what pip's settings point at; what isn't there or doesn't answer has nothing."""
    try:
        trusted = ssl.create_default_context(cafile=settings.get("cert"))
        with urlopen(address, timeout=60, context=trusted) as answer:  # noqa: S310 - may be a file:
            content: bytes = answer.read()
            return content
    except (URLError, ValueError, OSError):
        return b""


def run(command: list[str], what: str, env: dict[str, str] | None = None) -> None:
    """Run one step of the set-up; its failure becomes one line."""
    environment = env or {**pip_settings.own_environment(os.environ), "PIP_USER": "0"}
    done = subprocess.run(
        command,
        env=environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=die_with_parent(),
    )
    if done.returncode:
        raise Problem(f"cannot {what}: {_reason(done.stderr or done.stdout)}")


def _reason(output: str) -> str:
    """What a failed step's output names as the cause, in one line."""
    if "No space left on device" in output:
        return "the disk is full"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if re.search(NO_NETWORK, output):
        address = next(iter(re.findall(r"https?://\S+", output)), "")
        return f"no answer from the package index; is there a network? {address}".strip()
    causes = [line for line in lines if re.match(r"error|cause:|caused by", line, re.IGNORECASE)]
    first, *more = causes or lines[-1:] or ["it said nothing"]
    return "; ".join([first, *more[-1:]])
