"""What Longshore's api is held against: the naive app, nginx as the mark for fast, and a route that
answers from memory."""

import grp
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from dev.bench.load import TAIL, Job, Load, multipart_head, raw_head
from dev.bench.servers import Server, Way

NAIVE = "naive"
NAIVE_ALIKE = "naive + fsync + sha256"
"""Promises what Longshore's answer promises of the bytes."""
NGINX = "nginx PUT"


class NaiveApp(Server):
    @property
    def kept(self) -> Sequence[Path]:
        return [self.folder / "files"]

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        for name in ("files", "tmp"):
            (self.folder / name).mkdir(parents=True)
        command = [sys.executable, "-m", "dev.bench.naive_app", str(self.port), str(self.kept[0])]
        # Its spooled uploads lie on the measured volume too.
        async with self.process(command, {"TMPDIR": str(self.folder / "tmp")}, "/readyz"):
            yield

    def ways(self) -> list[Way]:
        return [
            Way(NAIVE, self, partial(self._job, "/uploads")),
            Way("naive + fsync", self, partial(self._job, "/durable")),
            Way(NAIVE_ALIKE, self, partial(self._job, "/hashed")),
        ]

    async def _job(self, path: str, load: Load) -> Job:
        heads = [multipart_head("POST", path, load.body_bytes)] * load.count
        return Job(self.port, heads, load.body_bytes, TAIL, 202, load.connections, load.seconds)


class BareRoute(Server):
    """A FastAPI route that knows the answers."""

    def __init__(self, folder: Path, answers: Mapping[str, str]) -> None:
        """`answers` are JSON, by path."""
        super().__init__(folder)
        self._answers = answers

    @property
    def kept(self) -> Sequence[Path]:
        return []

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        self.folder.mkdir(parents=True)
        file = self.folder / "answers.json"
        file.write_text(json.dumps(self._answers), "utf-8")
        command = [sys.executable, "-m", "dev.bench.bare_route", str(self.port), str(file)]
        async with self.process(command, {}, "/readyz"):
            yield

    def ways(self) -> list[Way]:
        return []  # it takes no files


NGINX_CONF = """\
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/log.txt warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/unused;
    fastcgi_temp_path {folder}/unused;
    uwsgi_temp_path {folder}/unused;
    scgi_temp_path {folder}/unused;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port};
        location = /readyz {{ return 200; }}
        location / {{ root {folder}/files; dav_methods PUT; }}
    }}
}}
"""


class Nginx(Server):
    """WebDAV PUT: a file server in C that parses nothing and promises nothing."""

    @staticmethod
    def is_here() -> bool:
        return shutil.which("nginx") is not None

    @property
    def kept(self) -> Sequence[Path]:
        return [self.folder / "files"]

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        for name in ("files", "body"):
            (self.folder / name).mkdir(parents=True)
        # Started by root, its worker would become a user who may not write here.
        user = "" if os.geteuid() else f"user root {grp.getgrgid(os.getegid()).gr_name};\n"
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX_CONF.format(user=user, folder=self.folder, port=self.port))
        command = ["nginx", "-p", str(self.folder), "-e", f"{self.folder}/log.txt", "-c", str(conf)]
        async with self.process(command, {}, "/readyz"):
            yield

    def ways(self) -> list[Way]:
        return [Way(NGINX, self, self._job)]

    async def _job(self, load: Load) -> Job:
        heads = [raw_head("PUT", f"/{n}.pdf", load.body_bytes) for n in range(load.count)]
        return Job(self.port, heads, load.body_bytes, "", 201, load.connections, load.seconds)
