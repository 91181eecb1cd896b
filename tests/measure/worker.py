"""What a worker that is measured has: its defaults, and the LibreOffice of this machine."""

from pathlib import Path

from worker.office.converter import Office
from worker.office.program import find_program
from worker.settings import Settings


def settings_in(folder: Path) -> Settings:
    """A worker's as they are by default, but for what has none: nothing is reached."""
    return Settings(
        environment="dev",
        redis_url="redis://127.0.0.1:1/0",
        staging_dir=folder,
        scratch_dir=folder,
        internal_url="http://127.0.0.1:1",
        internal_secret="change-me",
        s3_bucket="bucket",
        s3_access_key_id="key",
        s3_secret_access_key="secret",
    )


async def office_in(settings: Settings, scratch: Path) -> Office | None:
    """As the worker has it, warm; None where it isn't installed."""
    program = find_program(None)
    if program is None:
        return None
    office = Office(program, scratch, deadline_seconds=settings.office_seconds, at_once=1)
    await office.prepare()
    return office
