"""Start real S3 endpoints for a test run: moto's server, and the one `./longshore up` brings."""

import http.client
import json
import os
import socket
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

from dev import environments
from dev.provision_s3 import policies
from worker.object_store import StoreSettings

HOST = "127.0.0.1"
REGION = "us-east-1"
BUCKET = "longshore-test"
START_SECONDS = 30
MIB = 1024 * 1024


@dataclass(frozen=True)
class S3Endpoint:
    """A running endpoint with an empty bucket and a key that may do what the worker does."""

    name: str
    url: str
    access_key_id: str
    secret_access_key: str
    root_key: dict[str, str]

    def root(self, service: str) -> Any:
        """A client of the owner's, who may do everything."""
        return _client(service, self.url, self.root_key)

    def empty(self, prefix: str) -> None:
        s3 = self.root("s3")
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
        key = {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
        }
        return _client("s3", self.url, key)


@contextmanager
def run_moto(folder: Path) -> Iterator[S3Endpoint]:
    """Moto keeps what it is given and believes everybody: quick, and never the only proof."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with _running("moto", command, port, "/moto-api/", folder, dict(os.environ)) as url:
        yield _endpoint("moto", url, {"access_key_id": "test", "secret_access_key": "test"})


@contextmanager
def run_ministack(folder: Path) -> Iterator[S3Endpoint]:
    """Ministack, with signatures, permissions and checksums looked at."""
    root = {"access_key_id": "AKIAROOT", "secret_access_key": "root-secret"}
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,iam,sts",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": root["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": root["secret_access_key"],
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "data"),
        "TMPDIR": str(folder),
        "LOG_LEVEL": "WARNING",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder}/no-docker",
    }
    command = [_s3_python(), "-m", "ministack"]
    with _running("ministack", command, port, "/_ministack/health", folder, environment) as url:
        yield _endpoint("ministack", url, root)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _s3_python() -> str:
    """Of the endpoint's own environment, which the first test that needs it brings."""
    environments.ensure("s3")
    return environments.python("s3")


def _endpoint(name: str, url: str, root: dict[str, str]) -> S3Endpoint:
    """Make the bucket, and a user who may do what `./longshore up` lets the worker do."""
    _client("s3", url, root).create_bucket(Bucket=BUCKET)
    iam = _client("iam", url, root)
    iam.create_user(UserName="worker")
    policy = json.dumps(policies(BUCKET)["worker"])
    iam.put_user_policy(UserName="worker", PolicyName="worker", PolicyDocument=policy)
    key = iam.create_access_key(UserName="worker")["AccessKey"]
    return S3Endpoint(name, url, key["AccessKeyId"], key["SecretAccessKey"], root)


def _client(service: str, url: str, key: dict[str, str]) -> Any:  # its methods come at run time
    return botocore.session.get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}),
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
