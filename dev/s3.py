"""The local S3 endpoint's bucket and keys: made on its first start, and again if it forgot them.

Objects survive whatever ends it; users and their keys only what it wrote when it last stopped in
good order. So it is stopped once as soon as they are made: a kill finds them on disk from then on.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

from dev import CHECKOUT, answers, environments, processes
from dev.child import Child
from dev.logs import shorten
from dev.say import say
from dev.services import BUCKET, REGION, Services, clean
from dev.state import StateDir

USERS = ("worker", "api")
PROVISION = CHECKOUT / "dev/provision_s3.py"
MEMORY = "s3/state/iam.json"  # what it loads when it starts


class S3:
    def __init__(self, state: StateDir, services: Services, new_keys: Callable[[], None]) -> None:
        self._state = state
        self._services = services
        self._new_keys = new_keys

    async def answers(self, child: Child) -> bool:
        """Tell whether it answers, and knows the bucket and both keys."""
        if not await answers.http_ok(self._services.ports["s3"], "/_ministack/health"):
            return False
        return self._remembers() or await self._provision(child)

    def _remembers(self) -> bool:
        """Tell from its memory, which is quicker than asking."""
        try:
            memory = (self._state.path / MEMORY).read_text("utf-8")
        except FileNotFoundError:
            return False
        keys = [self._services.secrets.get(f"s3_{user}") for user in USERS]
        by_this_code = self._services.secrets.get("s3_made_by") == _version()
        return by_this_code and all(key and key["access_key_id"] in memory for key in keys)

    async def _provision(self, child: Child) -> bool:
        """Make what is missing, and have it remembered; not ready before that."""
        secrets = self._services.secrets
        request = {
            "endpoint_url": self._services.s3_url,
            "region": REGION,
            "bucket": BUCKET,
            "root": secrets["s3_root"],
            "keys": {user: secrets.get(f"s3_{user}") for user in USERS},
        }
        command = [environments.python("run"), "-m", "dev.provision_s3"]
        code, output = await processes.run_once(
            command, clean(os.environ), json.dumps(request).encode()
        )
        if code:
            say(shorten(f"s3: bucket and keys could not be made: {output}"))
            await asyncio.sleep(1)
            return False
        self._keep(json.loads(output))
        child.replace()
        await asyncio.sleep(60)  # cut short by the end of the process
        return False

    def _keep(self, keys: dict[str, Any]) -> None:
        secrets = self._services.secrets
        before = dict(secrets)
        secrets |= {f"s3_{user}": key for user, key in keys.items()}
        secrets["s3_made_by"] = _version()
        self._state.write("secrets.json", secrets)
        if any(before.get(f"s3_{user}") != key for user, key in keys.items()):
            self._new_keys()


def _version() -> str:
    """Another code may give the users other rights."""
    return hashlib.sha256(PROVISION.read_bytes()).hexdigest()
