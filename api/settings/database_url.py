"""Which databases the records may live in, as `DATABASE_URL` names them."""

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from shared.setting_types import Present, refuse_example

DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
EARLIER = {"sqlite+aiosqlite": "sqlite"}
"""What earlier versions asked for."""
_EXAMPLES = "sqlite:////folder/file or postgresql+asyncpg://user:password@host/database"


def _usable(value: str, info: ValidationInfo) -> str:
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(f"is no SQLAlchemy URL; it looks like {_EXAMPLES}") from None
    driver = DRIVERS.get(url.drivername.partition("+")[0])
    if driver is None:
        raise ValueError(f"is neither SQLite nor PostgreSQL; it looks like {_EXAMPLES}")
    if EARLIER.get(url.drivername, url.drivername) != driver:
        raise ValueError(f"begins with {url.drivername}://; write {driver}:// in its place")
    if driver == DRIVERS["sqlite"] and url.database in {None, "", ":memory:"}:
        raise ValueError(f"names no file; it looks like {_EXAMPLES}")
    for password in _passwords(url):
        refuse_example(password, info)
    return value


def _passwords(url: URL) -> list[str]:
    """Where asyncpg takes one from."""
    named = url.query.get("password", ())
    return [url.password or "", *([named] if isinstance(named, str) else named)]


DatabaseUrl = Annotated[str, Present, AfterValidator(_usable)]
