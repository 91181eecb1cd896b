"""A backup is taken while uploads are in flight, and restored into empty volumes."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.client import FormClient
from tests.support.files import pdf
from tests.support.links import links
from tests.support.postgres import dump, new_database, restore
from tests.support.s3 import client as s3_client
from tests.support.stack import CHECKOUT, Stack

PATIENCE = 60.0
Bucket = dict[str, tuple[str, bytes]]
"""Media type and content of each object."""


@dataclass
class Senders:
    """People who go on sending, and what was acknowledged to them."""

    stack: Stack
    acknowledged: dict[str, tuple[FormClient, str]] = field(default_factory=dict)
    """The form and the SHA-256 of each upload."""
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self) -> str:
        with self._lock:
            self._number += 1
            content = pdf(pages=self._number)
        form = FormClient(self.stack.url)
        upload = form.upload("resume", content, kind="application/pdf")
        self.acknowledged[upload["id"]] = form, hashlib.sha256(content).hexdigest()
        return str(upload["id"])

    def status(self, upload_id: str) -> str:
        form, _ = self.acknowledged[upload_id]
        return str(form.http.get(f"/v1/uploads/{upload_id}").json()["status"])

    @contextmanager
    def sending(self) -> Iterator[None]:
        stopped = threading.Event()

        def go_on() -> None:
            while not stopped.wait(0.2):
                self.send()

        sender = threading.Thread(target=go_on)
        sender.start()
        try:
            yield
        finally:
            stopped.set()
            sender.join()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> "Records":
    if request.param == "sqlite":
        return SqliteRecords(tmp_path)
    return PostgresRecords(tmp_path, request.getfixturevalue("postgres"))


def test_a_restored_backup_lost_nothing_that_was_acknowledged_before_it_and_names_the_rest(
    tmp_path: Path, records: "Records"
) -> None:
    origin = Stack(tmp_path / "state", records.env)
    restored = Stack(tmp_path / "restored")
    try:
        origin.start()
        senders = Senders(origin)
        with senders.sending():
            until(lambda: len(senders.acknowledged) > 3, "somebody sends")
            with stopped(origin.pid("worker")):
                waiting = senders.send()
                before = set(senders.acknowledged)
                copy_volume(tmp_path / "state", tmp_path / "restored")
            until(lambda: senders.status(waiting) == "stored", "it moves on meanwhile")
            with stopped(origin.pid("worker")):
                late = senders.send()
                records.back_up()
            until(lambda: senders.status(late) == "stored", "so does this one")
            bucket = copy_bucket(origin.info["s3"])
        origin.stop()

        records.restore()
        ports = restore_settings(tmp_path / "state", tmp_path / "restored")
        restored.port = origin.port
        with links(internal=ports["internal"]) as between:
            near = f"http://127.0.0.1:{between['internal'].port}"
            restored.env = {**records.env, "LONGSHORE_WORKER_INTERNAL_URL": near}
            with between["internal"](refuse=True):  # nobody works on it before it is looked at
                restored.start()
                put_bucket(restored.info["s3"], bucket)
                missing = verify(tmp_path / "restored")
            assert late in missing
            assert not before & missing
            for upload_id in before:
                form, digest = senders.acknowledged[upload_id]
                assert form.final({"id": upload_id})["status"] == "stored"
                link = form.http.get(f"/v1/uploads/{upload_id}/content", follow_redirects=True)
                assert hashlib.sha256(link.content).hexdigest() == digest
            for upload_id in missing:
                form, _ = senders.acknowledged[upload_id]
                found = form.final({"id": upload_id})
                assert (found["status"], found["error"]["code"]) == ("failed", "bytes-lost")
        assert verify(tmp_path / "restored") == missing, (
            "and nothing else, whatever was stored since"
        )
    finally:
        for stack in (origin, restored):
            stack.stop()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


# --- the steps of docs/deployment.md, in their order, on a stack of this machine


def copy_volume(origin: Path, target: Path) -> None:
    """While it is written to: what vanishes on the way is in the bucket by then, or taken away."""
    for name in ("staged", "quarantine"):
        (target / "staging" / name).mkdir(parents=True)
        for path in (origin / "staging" / name).iterdir():
            with suppress(FileNotFoundError):
                shutil.copy2(path, target / "staging" / name)
    shutil.copy2(origin / "staging/.longshore-volume", target / "staging")


class SqliteRecords:
    """In their file in the state folder."""

    env: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def back_up(self) -> None:
        with (
            closing(sqlite3.connect(self._folder / "state/longshore.db")) as source,
            closing(sqlite3.connect(self._folder / "backup.db")) as copy,
        ):
            source.backup(copy)

    def restore(self) -> None:
        shutil.copy2(self._folder / "backup.db", self._folder / "restored/longshore.db")


class PostgresRecords:
    """In a database, and then in an empty one."""

    def __init__(self, folder: Path, server: URL) -> None:
        self._dump = folder / "records.dump"
        self._server = server
        self.env = {"DATABASE_URL": new_database(server, "origin")}

    def back_up(self) -> None:
        dump(self.env["DATABASE_URL"], self._dump)

    def restore(self) -> None:
        self.env = {"DATABASE_URL": new_database(self._server, "restored")}
        restore(self._dump, self.env["DATABASE_URL"])


Records = SqliteRecords | PostgresRecords


def copy_bucket(s3: dict[str, str]) -> Bucket:
    store = s3_client(s3["endpoint_url"], s3)
    bucket = {}
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=s3["bucket"]):
        for each in page.get("Contents", []):
            found = store.get_object(Bucket=s3["bucket"], Key=each["Key"])
            bucket[each["Key"]] = (found["ContentType"], found["Body"].read())
    return bucket


def restore_settings(origin: Path, target: Path) -> dict[str, int]:
    """Addresses and secrets, which are part of a backup; the ports."""
    for name in ("ports.json", "secrets.json"):
        shutil.copy2(origin / name, target)
    ports: dict[str, int] = json.loads((target / "ports.json").read_text())
    return ports


def put_bucket(s3: dict[str, str], bucket: Bucket) -> None:
    store = s3_client(s3["endpoint_url"], s3)
    for key, (kind, content) in bucket.items():
        store.put_object(Bucket=s3["bucket"], Key=key, Body=content, ContentType=kind)


def verify(state_dir: Path) -> set[str]:
    """The uploads of which something is missing."""
    command = ["./longshore", "verify", "--state-dir", str(state_dir)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    named = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("wrong")}
    assert "S3_BUCKET" not in named, done.stdout
    assert done.returncode == bool(named), done.stdout + done.stderr
    assert "are there with their SHA-256" in done.stdout, done.stdout + done.stderr
    return named - {"STAGING_DIR"}
