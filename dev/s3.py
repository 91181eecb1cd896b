"""The local object store: who may use it, and its bucket, which is made when it first answers."""

import asyncio
import hashlib
import json
import os

from dev import CHECKOUT, answers, environments, processes, seaweedfs
from dev.child import Child
from dev.logs import shorten
from dev.say import Problem, say
from dev.services import BUCKET, REGION, Services, clean
from dev.state import StateDir

PROVISION = CHECKOUT / "dev/provision_s3.py"
PROVISIONED = "s3/provisioned"  # goes when the objects go with their folder
OTHER_STORES = ("s3/data", "s3/state")


class S3:
    """What is made before it starts, and when it answers.

    Raises `Problem` for a folder with the objects of the store that was used before.
    """

    def __init__(self, state: StateDir, services: Services) -> None:
        self._state = state
        self._services = services
        others = [name for name in OTHER_STORES if (state.path / name).exists()]
        if others:
            raise Problem(
                f"{state.path / others[0]} holds the objects of another store, which was used"
                f" before SeaweedFS: the records of {state.path} point to them. They are left as"
                f" they are; take another --state-dir, or move {state.path} away"
            )

    def prepare(self) -> None:
        (self._state.path / "s3" / seaweedfs.OBJECTS).mkdir(exist_ok=True)
        secrets, policies = self._services.secrets, seaweedfs.policies(BUCKET)
        users = {user: (secrets[f"s3_{user}"], policy) for user, policy in policies.items()}
        told = seaweedfs.identities(secrets["s3_root"], users)
        self._state.write_text(f"s3/{seaweedfs.IDENTITIES}", told)

    async def answers(self, _child: Child) -> bool:
        """Tell whether it answers, can write, and has the bucket."""
        ports = self._services.ports
        for port in (ports["s3"], ports["s3_volume"]):
            if not await answers.http_ok(port, "/healthz"):
                return False
        return self._is_provisioned() or await self._provision()

    def _is_provisioned(self) -> bool:
        """Tell by a note of our own, which is quicker than asking."""
        try:
            return (self._state.path / PROVISIONED).read_text("utf-8") == _version()
        except FileNotFoundError:
            return False

    async def _provision(self) -> bool:
        request = {
            "endpoint_url": self._services.s3_url,
            "region": REGION,
            "bucket": BUCKET,
            "root": self._services.secrets["s3_root"],
        }
        command = [environments.python("run"), "-m", "dev.provision_s3"]
        code, output = await processes.run_once(
            command, clean(os.environ), json.dumps(request).encode()
        )
        if code:
            say(shorten(f"s3: the bucket could not be made: {output}"))
            await asyncio.sleep(1)
            return False
        self._state.write_text(PROVISIONED, _version())
        return True


def _version() -> str:
    """Another code may let others follow the links."""
    return hashlib.sha256(PROVISION.read_bytes()).hexdigest()
