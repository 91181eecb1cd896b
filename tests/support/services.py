"""The api's use cases on real parts: a database, a folder as volume; Redis may be away."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import select, update

from api.access.tokens import ServiceKey
from api.forms import drafts
from api.receive.files import Received
from api.records import migrate, uploads
from api.records.rows import FormRow, UploadRow
from api.records.tables import cleanings
from api.records.tables import uploads as upload_table
from api.services import Services
from api.settings.settings import Settings
from api.start import open_services
from api.uploads import outcomes, work
from api.uploads.acknowledge import acknowledge
from dev.ports import free_port
from shared.ids import new_id
from shared.internal_api import (
    Flag,
    Outcome,
    Rejected,
    Retry,
    Stored,
    StoredObject,
    WorkOrder,
)
from tests.support.sql import execute, rows_of
from tests.support.stack import forms_folder

BACK_END = ServiceKey("tests")

A_SHA = hashlib.sha256(b"object").hexdigest()


@asynccontextmanager
async def services_on(
    folder: Path, database_url: str, **overrides: object
) -> AsyncIterator[Services]:
    forms = folder / "forms"
    if not forms.exists():
        forms_folder(forms)
    await migrate.upgrade(database_url)
    values: dict[str, object] = {
        "environment": "dev",
        "database_url": database_url,
        "redis_url": f"redis://127.0.0.1:{free_port()}/0",
        "staging_dir": folder / "volume",
        "forms_dir": forms,
        "internal_secrets": ("secret",),
        "s3_public_endpoint_url": "http://store.example",
        "s3_bucket": "bucket",
        "s3_access_key_id": "key",
        "s3_secret_access_key": "secret",
        "min_free_bytes": 0,
        "min_free_inodes": 0,
        **overrides,
    }
    async with open_services(Settings.model_validate(values)) as services:
        yield services


class Scene:
    """One form, and shorthands for what happens to its uploads."""

    def __init__(self, services: Services, form: FormRow) -> None:
        self.services = services
        self.form = form

    @classmethod
    async def create(cls, services: Services, form_type: str = "acceptance") -> "Scene":
        form, _, _ = await drafts.create(services, form_type, {}, None, beginner=None)
        return cls(services, form)

    async def received(self, content: bytes = b"bytes", name: str | None = None) -> Received:
        writer = self.services.staging.open(name or new_id("upl"))
        await writer.write(content)
        return Received(await writer.finish(), "a.png", "image/png")

    async def staged(self, field: str = "needed", content: bytes = b"bytes") -> UploadRow:
        return await acknowledge(
            self.services,
            self.form.id,
            self.services.form_types[self.form.type].file_fields[field],
            await self.received(content),
            request_id="req",
        )

    async def claimed(self, upload: UploadRow) -> WorkOrder:
        return await work.claim(self.services, upload.id, new_id("clm"))

    async def report(self, outcome: Outcome) -> UploadRow:
        return await outcomes.apply(self.services, self.form.id, outcome)

    async def stored(self, field: str = "needed") -> UploadRow:
        order = await self.claimed(await self.staged(field))
        return await self.report(stored(order))

    async def now(self, upload: UploadRow) -> UploadRow:
        row = await self.services.database.scan(uploads.get, upload.id)
        assert row is not None
        return row

    async def set_all(self, **values: object) -> None:
        """Set columns of the form's uploads: the tests' way to let time pass."""
        mine = upload_table.c.form_id == self.form.id
        await execute(self.services.database, update(upload_table).where(mine).values(**values))

    async def doomed(self) -> dict[str, tuple[int, int]]:
        """Prefix → (not before, passes)."""
        all_of_them = select(cleanings.c.prefix, cleanings.c.not_before, cleanings.c.passes)
        found = await rows_of(self.services.database, all_of_them)
        return {row.prefix: (row.not_before, row.passes) for row in found}


def stored(order: WorkOrder) -> Stored:
    key = f"{order.key_prefix}object.png"
    described = StoredObject(key=key, content_type="image/png", size=6, sha256=A_SHA)
    return Stored(upload_id=order.upload_id, generation=order.generation, object=described)


def rejected(order: WorkOrder) -> Rejected:
    return Rejected(upload_id=order.upload_id, generation=order.generation, code="file-corrupt")


def flagged(order: WorkOrder) -> Stored:
    """Kept as it came, though it is too small."""
    key = f"{order.flagged_prefix}original.png"
    return Stored(
        upload_id=order.upload_id,
        generation=order.generation,
        object=StoredObject(key=key, content_type="image/png", size=5, sha256=order.sha256),
        flags=[Flag(code="image-too-small", params={"width": 30, "height": 30})],
    )


def given_back(order: WorkOrder, *, counted: bool = True, cause: str = "store") -> Retry:
    return Retry(
        upload_id=order.upload_id, generation=order.generation, cause=cause, counted=counted
    )
