"""A form of a client, for tests of what holds whichever way a file is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.access.tokens import ServiceKey
from api.records.rows import UploadRow
from api.routes.deps import own_form, own_upload
from api.services import Services
from tests.support.listeners import new_form, public
from tests.support.services import Scene, services_on
from tests.support.ways import WAYS, send

PATIENCE = 30.0
"""Seconds after which something never comes; everything here takes a moment."""
CONTENT = b"the bytes of a file" * 200
MOST = 20_000
"""Bytes that a form may hold here."""
LEAST = 1000
"""Bytes that stay free on the volume."""
each_way = pytest.mark.parametrize("way", list(WAYS))


class Begun:
    """A form of a client that holds its token, and the same form as the use cases see it."""

    def __init__(self, client: httpx.AsyncClient, form: dict[str, Any], scene: Scene) -> None:
        self.client = client
        self.form = form
        self.path = f"/v1/forms/{form['id']}"
        self.scene = scene
        self._files_before = self._files()

    async def send(self, way: str, content: bytes = CONTENT, **how: Any) -> httpx.Response:
        async with asyncio.timeout(PATIENCE):
            return await send(self.client, self.form, way, content, **how)

    async def reuse(self, upload: UploadRow) -> httpx.Response:
        path = f"{self.path}/fields/pair/uploads"
        return await self.client.post(path, json={"from": upload.id})

    async def row(self, upload_id: str) -> UploadRow:
        return await own_upload(self.scene.services, ServiceKey("tests"), upload_id)

    def files(self) -> set[str]:
        """What the volume holds besides what it held when this began."""
        return self._files() - self._files_before

    def _files(self) -> set[str]:
        root = self.scene.services.staging.root
        return {path.name for path in (*root.glob("incoming/*"), *root.glob("staged/*"))}


@asynccontextmanager
async def begin(services: Services) -> AsyncIterator[Begun]:
    async with public(services) as client:
        form = await new_form(client)
        row = await own_form(services, ServiceKey("tests"), form["id"])
        yield Begun(client, form, Scene(services, row))


@asynccontextmanager
async def services_in(folder: Path, **settings: object) -> AsyncIterator[Services]:
    """An api in this process: which database it has makes no difference to these tests."""
    async with services_on(folder, f"sqlite:///{folder}/records.db", **settings) as services:
        yield services
