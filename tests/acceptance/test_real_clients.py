"""Clients as people use them, each uploading a file whose name is not ASCII to both endpoints."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.client import FormClient
from tests.support.files import photo
from tests.support.stack import CHECKOUT, Stack

pytestmark = pytest.mark.slow

NAME = "Zoë's “licence” №1.jpg"
EXTENDED = f"UTF-8''{quote(NAME, safe='')}"
PROGRAMS = CHECKOUT / "tests/clients"
SECONDS = 120
Words = list[str]


def run(words: Words, **env: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(
        words, env={**clean, "NO_PROXY": "*", **env}, capture_output=True, timeout=SECONDS * 5,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stdout, done.stderr.decode(errors="replace"))
    return done.stdout.decode()


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program} here")
    return found


def java(folder: Path) -> Words:
    run([needs("javac"), "-encoding", "UTF-8", "-d", str(folder), str(PROGRAMS / "Upload.java")])
    return [needs("java"), "-cp", str(folder), "Upload"]


def go(folder: Path) -> Words:
    built = str(folder / "upload-go")
    words = [needs("go"), "build", "-o", built, str(PROGRAMS / "upload.go")]
    run(words, GOCACHE=str(folder / "go"), GO111MODULE="off")
    return [built]


def ruby(_: Path) -> Words:
    return [needs("ruby"), str(PROGRAMS / "upload.rb")]


def node_fetch(_: Path) -> Words:
    return [needs("node"), str(PROGRAMS / "upload_fetch.mjs")]


def node_http(_: Path) -> Words:
    return [needs("node"), str(PROGRAMS / "upload_http.mjs")]


def python(library: str, *packages: str) -> Callable[[Path], Words]:
    def prepared(folder: Path) -> Words:
        run([sys.executable, "-m", "venv", str(folder / "venv")])
        own = str(folder / "venv/bin/python")
        wanted = subprocess.run(
            [own, "-m", "pip", "install", "-q", *packages],
            capture_output=True,
            timeout=SECONDS * 5,
            check=False,
        )
        if wanted.returncode:
            pytest.skip(f"can't install {' '.join(packages)}")
        return [own, str(PROGRAMS / "upload.py"), library]

    return prepared


CLIENTS: dict[str, Callable[[Path], Words]] = {
    "java": java,
    "go": go,
    "ruby": ruby,
    "node-fetch": node_fetch,
    "node-http": node_http,
    "requests-2.22": python("requests", "requests==2.22.0", "urllib3==1.25.11"),
    "requests": python("requests", "requests"),
    "httpx": python("httpx", "httpx"),
    "aiohttp": python("aiohttp", "aiohttp"),
}


@pytest.fixture(scope="session", params=CLIENTS)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Words:
    return CLIENTS[request.param](tmp_path_factory.mktemp("client"))


@pytest.fixture
def name_file(tmp_path: Path) -> Path:
    """A name that no program's idea of its arguments' encoding can change."""
    path = tmp_path / "name"
    path.write_text(NAME, "utf-8")
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(photo())
    return path


def address(form: FormClient, url: str, how: str) -> str:
    key = "/of-the-client" if how == "put" else ""
    return f"{url}{form.path}/fields/headshot/uploads{key}"


def check(form: FormClient, said: str) -> None:
    status, _, text = said.partition("\n")
    assert status == "202", said
    accepted: dict[str, Any] = json.loads(text)
    assert accepted["filename"] == NAME
    final = form.final(accepted)
    assert (final["status"], final["filename"]) == ("stored", NAME), final


@pytest.mark.parametrize("how", ["post", "put"])
def test_a_real_client_uploads_a_file_by_its_name(
    stack: Stack, client: Words, picture: Path, name_file: Path, how: str
) -> None:
    form = FormClient(stack.url)
    plain = picture.with_name("content.jpg")
    plain.write_bytes(picture.read_bytes())
    words = [*client, how, address(form, stack.url, how), form.token, str(plain)]
    check(form, run([*words, EXTENDED, str(name_file)]))


@pytest.mark.parametrize("how", ["post", "put"])
def test_curl_uploads_a_file_by_its_name(stack: Stack, picture: Path, how: str) -> None:
    form = FormClient(stack.url)
    words = [needs("curl"), "-sS", "-H", f"Authorization: Bearer {form.token}"]
    if how == "post":
        words += ["-F", f"file=@{picture};type=image/jpeg"]
    else:
        words += [
            "-T",
            str(picture),
            "-H",
            f"Content-Disposition: attachment; filename*={EXTENDED}",
        ]
    said = run([*words, "-w", "\n%{http_code}", address(form, stack.url, how)])
    text, _, status = said.rpartition("\n")
    check(form, f"{status}\n{text}")
