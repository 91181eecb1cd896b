"""The parts of the local stack: when each answers, in which order they start and stop."""

import asyncio
import json
import os
from collections.abc import Coroutine
from typing import Any

from dev import answers, environments, processes
from dev.child import Child, Spec
from dev.logs import LogFile, readable, shorten
from dev.ports import Ports
from dev.say import Problem, explain, say
from dev.services import BUCKET, REGION, Services, clean
from dev.state import StateDir

# Together less than the 10 s in which everything has to have stopped.
SERVICES_STOP_WITHIN = 6.0
STORES_STOP_WITHIN = 2.5


class Stack:
    def __init__(self, state: StateDir, ports: Ports, redis_server: str) -> None:
        self._state = state
        self._secrets = state.secrets()
        self._published = False
        self.services = Services(state.path, ports, self._secrets)
        self.logs = {
            name: LogFile(state.path / "logs" / f"{name}.log")
            for name in ("redis", "s3", "migrate", "api", "worker")
        }
        run, s3 = environments.python("run"), environments.python("s3")
        folder = state.path
        self._provision = [run, "-m", "dev.provision_s3"]
        self._migrate = [run, "-m", "api.migrate"]
        self._redis = self._child(
            Spec(
                "redis",
                [redis_server, "redis.conf"],
                lambda: clean(os.environ),
                self._redis_answers,
                folder / "redis",
            )
        )
        self._s3 = self._child(
            Spec("s3", [s3, "-m", "ministack"], self.services.s3, self._s3_answers, folder / "s3")
        )
        self._api = self._child(
            Spec("api", [run, "-m", "api"], self.services.api, self._api_answers)
        )
        self._worker = self._child(
            Spec("worker", [run, "-m", "worker"], self.services.worker, self._worker_answers)
        )
        self.children = [self._redis, self._s3, self._api, self._worker]

    def _child(self, spec: Spec) -> Child:
        return Child(spec, self.logs[spec.name].path, self._publish_again)

    async def start(self) -> None:
        """Return when everything answers."""
        self._state.write_text("redis/redis.conf", self.services.redis_conf())
        await _together(self._redis.start(), self._s3.start(), self._migrate_database())
        await _together(self._api.start(), self._worker.start())
        self._publish()
        self._published = True

    async def stop(self) -> None:
        """Stop who works before who keeps: Redis and the store go when nobody needs them."""
        self._published = False
        self._state.remove_stack()
        await asyncio.gather(*(c.stop(SERVICES_STOP_WITHIN) for c in (self._api, self._worker)))
        await asyncio.gather(*(c.stop(STORES_STOP_WITHIN) for c in (self._s3, self._redis)))

    def kill(self) -> None:
        self._state.remove_stack()
        for child in self.children:
            child.kill()

    def show_news(self) -> None:
        """Print what the logs got since the last time that a person wants to see."""
        for name, log in self.logs.items():
            for line in log.new_lines():
                if text := readable(name, line):
                    say(text)

    def _publish(self) -> None:
        pids = {c.spec.name: [c.pid] if c.pid else [] for c in self.children}
        self._state.write("stack.json", self.services.described(pids))

    def _publish_again(self) -> None:
        """Keep stack.json true: called whenever a process starts or ends."""
        if self._published:
            try:
                self._publish()
            except OSError as error:  # a full disk is no reason not to start a process again
                say(f"stack.json is out of date: {explain(error)}")

    async def _migrate_database(self) -> None:
        log = self.logs["migrate"]
        code, output = await processes.run_once(self._migrate, self.services.api())
        with log.path.open("a", encoding="utf-8") as file:
            file.write(output)
        if code:
            why = shorten((log.last_lines(1) or [processes.how_it_ended(code)])[0])
            raise Problem(f"the database could not be migrated: {why} ({log.path})")

    async def _redis_answers(self, _child: Child) -> bool:
        ports, password = self.services.ports, self._secrets["redis_password"]
        return await answers.redis_pong(ports["redis"], password)

    async def _s3_answers(self, child: Child) -> bool:
        """It answers and knows the bucket and both keys, whatever its last end made it forget."""
        if not await answers.http_ok(self.services.ports["s3"], "/_ministack/health"):
            return False
        request = {
            "endpoint_url": self.services.s3_url,
            "region": REGION,
            "bucket": BUCKET,
            "root": self._secrets["s3_root"],
            "keys": {user: self._secrets.get(f"s3_{user}") for user in ("worker", "api")},
        }
        code, output = await processes.run_once(
            self._provision, clean(os.environ), json.dumps(request).encode()
        )
        if code:
            say(shorten(f"s3: bucket and keys could not be made: {output}"))
            await asyncio.sleep(1)
            return False
        return await self._keep_keys(child, json.loads(output))

    async def _keep_keys(self, child: Child, provisioned: dict[str, Any]) -> bool:
        if not provisioned["changed"]:
            return True
        self._secrets |= {f"s3_{user}": key for user, key in provisioned["keys"].items()}
        self._state.write("secrets.json", self._secrets)
        # It writes users and keys to disk only when it stops in good order: have it do so now,
        # or a kill would make it forget them.
        child.replace()
        for service in (self._api, self._worker):
            service.replace()  # not running yet, but for a store that lost its data under them
        await asyncio.sleep(STORES_STOP_WITHIN)  # until this wait ends with the process
        return False

    async def _api_answers(self, _child: Child) -> bool:
        return await answers.http_ok(self.services.ports["public"], "/readyz")

    async def _worker_answers(self, child: Child) -> bool:
        """It touches this file when it is ready, and every few seconds from then on."""
        try:
            touched = self.services.worker_health.stat().st_mtime
        except FileNotFoundError:
            return False
        return touched > child.started_at


async def _together(*starts: Coroutine[Any, Any, None]) -> None:
    """Wait for all; the first to fail ends the others."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
