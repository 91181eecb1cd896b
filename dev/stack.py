"""The parts of the local stack: when each answers, in which order they start and stop."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from dev import answers, environments, processes, seaweedfs
from dev.child import Child, Spec, pace
from dev.logs import LogFile, readable, shorten
from dev.ports import Ports
from dev.s3 import S3
from dev.say import Problem, explain, say
from dev.services import Services, clean
from dev.state import StateDir

# Together less than the 10 s in which everything has to have stopped.
WORKER_STOPS_WITHIN = 7.0
API_STOPS_WITHIN = 3.0
STORES_STOP_WITHIN = 2.5


class Stack:
    def __init__(self, state: StateDir, ports: Ports, redis_server: str, weed: str) -> None:
        self._state = state
        self._secrets = state.secrets()
        self._published = False
        self.services = Services(state.path, ports, self._secrets)
        self.logs = {
            name: LogFile(state.path / "logs" / f"{name}.log")
            for name in ("redis", "s3", "migrate", "api", "worker")
        }
        run = environments.python("run")
        folder = state.path
        self._store = S3(state, self.services)
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
            Spec(
                "s3",
                seaweedfs.command(weed, folder / "s3", ports),
                self.services.s3,
                self._store.answers,
                folder / "s3",
                seaweedfs.ENDED_BY,
            )
        )
        self._api = self._child(
            Spec("api", [run, "-m", "api"], self.services.api, self._api_answers)
        )
        self._worker = self._child(
            Spec("worker", [run, "-m", "worker"], self.services.worker, self._worker_answers)
        )
        self.children = [self._redis, self._s3, self._api, self._worker]

    def _child(self, spec: Spec) -> Child:
        path = self.logs[spec.name].path
        return Child(spec, path, self._publish_again, pace(os.environ))

    async def start(self) -> None:
        """Return when everything answers."""
        self._state.write_text("redis/redis.conf", self.services.redis_conf())
        self._store.prepare()
        await _together(self._s3.start(), self._start_api())
        await self._worker.start()  # it would only complain of what is on its way
        self._publish()
        self._published = True

    async def _start_api(self) -> None:
        """It needs no object store to start, which takes as long to come as all this."""
        await _together(self._redis.start(), self._migrate_database())
        await self._api.start()

    async def stop(self) -> None:
        """Stop who works before who keeps: Redis and the store go when nobody needs them."""
        self._published = False
        self._state.remove_stack()
        await self._worker.stop(WORKER_STOPS_WITHIN)  # first: it gives uploads back to the api
        await self._api.stop(API_STOPS_WITHIN)
        await asyncio.gather(*(c.stop(STORES_STOP_WITHIN) for c in (self._s3, self._redis)))
        seaweedfs.remove_sockets(self.services.ports)

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

    async def _api_answers(self, _child: Child) -> bool:
        """It lives: whether it can take uploads is another matter, and often needs the worker."""
        return await answers.http_ok(self.services.ports["public"], "/healthz")

    async def missing(self) -> list[str]:
        """What the api lacks to take uploads: what is staged is driven on without it."""
        return await answers.failed_checks(self.services.ports["public"])

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
