"""Start real S3 endpoints for a test run: moto's server, and the one `./longshore up` brings."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

from dev import seaweedfs
from dev.ports import free_port
from worker.object_store import StoreSettings

HOST = "127.0.0.1"
REGION = "us-east-1"
BUCKET = "longshore-test"
START_SECONDS = 30
DENIED = ("s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject")
MIB = 1024 * 1024
ROOT = {"access_key_id": "ROOT", "secret_access_key": "root's secret"}
"""Of SeaweedFS's owner, who may do everything."""


@dataclass(frozen=True)
class S3Endpoint:
    """A running endpoint with an empty bucket and a key that may do what the worker does."""

    name: str
    url: str
    access_key_id: str
    secret_access_key: str
    root_key: dict[str, str]

    def empty(self, prefix: str) -> None:
        s3 = client(self.url, self.root_key)
        for found in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=found["Key"])
        for begun in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            if begun["Key"].startswith(prefix):
                s3.abort_multipart_upload(
                    Bucket=BUCKET, Key=begun["Key"], UploadId=begun["UploadId"]
                )

    def settings(self) -> StoreSettings:
        return StoreSettings(
            bucket=BUCKET,
            region=REGION,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            endpoint_url=self.url,
            part_bytes=5 * MIB,
        )

    @cached_property
    def client(self) -> Any:
        """A client of the tests' own, to look at what the code under test left."""
        return self.client_with()

    def client_with(self, **config: Any) -> Any:
        key = {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
        }
        return client(self.url, key, **config)


@contextmanager
def run_moto(folder: Path) -> Iterator[S3Endpoint]:
    """Moto keeps what it is given and believes everybody: quick, and never the only proof."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with _running("moto", command, port, "/moto-api/", folder, dict(os.environ)) as url:
        key = {"access_key_id": "test", "secret_access_key": "test"}
        client(url, key).create_bucket(Bucket=BUCKET)
        yield S3Endpoint("moto", url, **key, root_key=key)


@contextmanager
def run_seaweedfs(folder: Path) -> Iterator[S3Endpoint]:
    """The store of `./longshore up` and of Compose, which looks at signatures, permissions and
    checksums. It is killed in the end, and may be run again on what it left in its folder."""
    policies = seaweedfs.policies(BUCKET)
    policies |= {f"without {each}": _without(each, policies["worker"]) for each in DENIED}
    users = {user: (_key(user), policy) for user, policy in policies.items()}
    ports = {name: free_port() for name in ("s3", *seaweedfs.INNER_PORTS)}
    is_new = not (folder / seaweedfs.OBJECTS).exists()
    (folder / seaweedfs.OBJECTS).mkdir(parents=True, exist_ok=True)
    (folder / seaweedfs.IDENTITIES).write_text(seaweedfs.identities(ROOT, users))
    command = seaweedfs.command(seaweedfs.ensure(), folder, ports)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    try:
        with _running("seaweedfs", command, ports["s3"], "/healthz", folder, environment) as url:
            if is_new:
                client(url, ROOT).create_bucket(Bucket=BUCKET)
            yield S3Endpoint("seaweedfs", url, **_key("worker"), root_key=ROOT)
    finally:
        seaweedfs.remove_sockets(ports)


def key_without(action: str) -> dict[str, str]:
    """SeaweedFS's key of a user who may do what the worker does, but for one of `DENIED`."""
    return _key(f"without {action}")


def _key(user: str) -> dict[str, str]:
    return {
        "access_key_id": user.upper().replace(" ", "-"),
        "secret_access_key": f"{user}'s secret",
    }


def _without(action: str, policy: seaweedfs.Policy) -> seaweedfs.Policy:
    allowed = [
        {**each, "Action": [one for one in each["Action"] if one != action]}
        for each in policy["Statement"]
    ]
    return {**policy, "Statement": allowed}


def client(url: str, key: dict[str, str], **config: Any) -> Any:  # its methods come at run time
    return botocore.session.get_session().create_client(
        "s3",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, **config),
    )


@contextmanager
def _running(
    name: str, command: list[str], port: int, health: str, folder: Path, env: dict[str, str]
) -> Iterator[str]:
    url = f"http://{HOST}:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=folder)
    try:
        _wait_for(port, health, server, folder / f"{name}.log")
        yield url
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int, path: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        if _answers(port, path):
            return
        time.sleep(0.05)
    raise RuntimeError(f"port {port} doesn't answer: {log.read_text(errors='replace')[-2000:]}")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
