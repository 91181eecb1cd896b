"""Two of each service on one volume and one database do the work of one."""

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import httpx
import pytest
from sqlalchemy import URL

from dev.ports import free_port
from tests.support.client import FormClient
from tests.support.events import following
from tests.support.files import jpeg, pdf, photo, png
from tests.support.postgres import new_database
from tests.support.second import second_process, until_ready
from tests.support.stack import Stack, forms_folder

UPLOADS = int(os.environ.get("LONGSHORE_REPLICA_UPLOADS", "60"))


@pytest.fixture(scope="module")
def replicas(
    tmp_path_factory: pytest.TempPathFactory, postgres: URL
) -> Iterator[tuple[Stack, list[str]]]:
    """A stack, and a second api and a second worker with the environment of its first ones."""
    folder = tmp_path_factory.mktemp("replicas")
    env = {
        "FORMS_DIR": str(forms_folder(folder / "forms")),
        "DATABASE_URL": new_database(postgres, "replicas"),
    }
    stack = Stack(folder / "state", env)
    seconds: list[subprocess.Popen[bytes]] = []
    try:
        stack.start()
        port = free_port()
        for name, own in (
            ("api", {"PORT": str(port), "INTERNAL_PORT": str(free_port()), "PUBLIC_URL": ""}),
            ("worker", {"HEALTH_FILE": str(folder / "second.health")}),
        ):
            seconds.append(second_process(stack, name, own, folder / f"second-{name}.log"))
        other = f"http://127.0.0.1:{port}"
        until_ready(f"{other}/readyz")
        yield stack, [stack.url, other]
    finally:
        for process in seconds:
            process.terminate()
            process.wait(10)
        stack.stop()


def test_uploads_through_either_api_are_each_stored_once(
    replicas: tuple[Stack, list[str]],
) -> None:
    stack, urls = replicas
    turns = cycle(urls)

    def send(number: int) -> tuple[FormClient, dict[str, object], str]:
        content = (jpeg(300 + number, 200), pdf(pages=number % 7 + 1), png(200 + number, 99))
        sent = content[number % 3]
        client = FormClient(next(turns), "therapist_signup")
        upload = client.upload("licence", sent, kind="application/octet-stream")
        client.http.base_url = httpx.URL(next(turns))  # no session is sticky
        return client, upload, hashlib.sha256(sent).hexdigest()

    with ThreadPoolExecutor(8) as senders:
        ledger = list(senders.map(send, range(UPLOADS)))
    generations = []
    for client, upload, sha256 in ledger:
        final = client.final(upload, seconds=120)
        assert (final["status"], final["sha256"]) == ("stored", sha256)
        assert client.read()["data"]["licence"] == final["public_url"]
        assert final["attempts"] == 1
        generations.append(final["public_url"].rsplit("/", 2)[-2].rsplit(".", 1)[-1])
    assert set(generations) == {"1"}, "nobody promoted an upload twice"
    second = (Path(stack.state_dir).parent / "second-worker.log").read_text()
    assert "promotion_ended" in second, "the second worker had its share"
    assert "promotion_ended" in stack.logs("worker")


def test_a_long_poll_sees_what_came_in_through_the_other_api(
    replicas: tuple[Stack, list[str]],
) -> None:
    _, (one, other) = replicas
    client = FormClient(one)
    etag = client.http.get(client.path).headers["etag"]
    with ThreadPoolExecutor(1) as waiting, httpx.Client(trust_env=False) as elsewhere:
        headers = {"Prefer": "wait=10", "If-None-Match": etag}
        answer = waiting.submit(client.http.get, client.path, headers=headers)
        time.sleep(0.5)
        saved = elsewhere.patch(
            f"{other}{client.path}",
            json={"full_name": "Ann"},
            headers={"Authorization": f"Bearer {client.token}"},
        )
        began = time.monotonic()
        assert saved.status_code == 200
        assert answer.result().json()["data"] == {"full_name": "Ann"}
        assert time.monotonic() - began < 8, "an answer that nobody woke comes after ten seconds"


def test_a_stream_tells_what_came_in_and_was_purged_through_the_other_api(
    replicas: tuple[Stack, list[str]],
) -> None:
    _, (one, other) = replicas
    client = FormClient(other)
    with following(client.http, f"{one}{client.path}") as stream:
        assert stream.next()
        client.upload("headshot", photo(), kind="image/jpeg")
        stream.until("upload", "stored")
        assert client.http.delete(client.path).status_code == 204
        assert [each.brief for each in stream.rest()] == [("end", "purged")]


def test_what_is_purged_through_one_api_is_cleaned_of_what_came_in_through_the_other(
    replicas: tuple[Stack, list[str]],
) -> None:
    _, (one, other) = replicas
    client = FormClient(one)
    stored = client.stored("headshot", photo(), kind="image/jpeg")
    as_json = {"Accept": "application/json"}
    link = client.http.get(f"/v1/uploads/{stored['id']}/content", headers=as_json).json()["url"]
    assert httpx.get(link, trust_env=False).status_code == 200
    purged = httpx.delete(
        f"{other}{client.path}",
        headers={"Authorization": f"Bearer {client.token}"},
        trust_env=False,
    )
    assert purged.status_code == 204
    assert client.http.get(client.path).status_code == 404
    deadline = time.monotonic() + 90
    while httpx.get(link, trust_env=False).status_code != 404:
        assert time.monotonic() < deadline, "the object is still in the bucket"
        time.sleep(0.5)
