"""One stack on each database whose parts reach each other through faulty links, with short times."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from dev.ports import free_port
from tests.support.faulty_stack import FaultyStack
from tests.support.ledger import Ledger
from tests.support.links import links
from tests.support.postgres import new_database
from tests.support.stack import SHARED_STACKS, forms_folder

QUICK = {
    "LEASE_SECONDS": "3",
    "HEARTBEAT_SECONDS": "0.5",
    "SWEEP_SECONDS": "0.5",
    "FIRST_BACKOFF_SECONDS": "0.2",
    "MAX_BACKOFF_SECONDS": "1",
    "WORK_SECONDS": "30",
    "ORPHAN_SECONDS": "2",
    "QUARANTINE_SECONDS": "2",
    "RECEIVE_IDLE_SECONDS": "2",
    "RECEIVE_RATE_SECONDS": "2",
    "MAX_ATTEMPTS": "5",
    "LONGSHORE_RESTART_SECONDS": "0.2",
    # As it is by default: a worker hands on when an api that was told to stop beside it is back.
    "LONGSHORE_WORKER_SHUTDOWN_SECONDS": "4",
}


# What differs between the databases is run on both; the rest on PostgreSQL only with -m slow.
ON_BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(scope="session", params=ON_BOTH)
def faulty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultyStack]:
    folder = tmp_path_factory.mktemp("faults")
    ports = {name: free_port() for name in ("public", "internal", "s3", "redis")}
    state = folder / "state"
    state.mkdir()
    (state / "ports.json").write_text(json.dumps(ports))
    (state / "secrets.json").write_text(json.dumps({"redis_password": "pw"}))
    upstream = {
        "api_redis": ports["redis"],
        "worker_redis": ports["redis"],
        "s3": ports["s3"],
        "internal": ports["internal"],
    }
    (state / "worker-volume").symlink_to(state / "staging")
    database: URL | None = None
    if request.param == "postgresql":
        database = make_url(new_database(request.getfixturevalue("postgres"), "faults"))
        upstream["database"] = database.port or 5432
    with links(**upstream) as opened:
        host = "127.0.0.1"
        env = QUICK | {
            "FORMS_DIR": str(forms_folder(folder / "forms")),
            "LONGSHORE_API_REDIS_URL": f"redis://:pw@{host}:{opened['api_redis'].port}/0",
            "LONGSHORE_WORKER_REDIS_URL": f"redis://:pw@{host}:{opened['worker_redis'].port}/0",
            "LONGSHORE_WORKER_S3_ENDPOINT_URL": f"http://{host}:{opened['s3'].port}",
            "LONGSHORE_WORKER_INTERNAL_URL": f"http://{host}:{opened['internal'].port}",
            "LONGSHORE_WORKER_STAGING_DIR": str(state / "worker-volume"),
            **_crash_points(folder / "crash-points"),
        }
        if database is not None:
            through = database.set(port=opened["database"].port)
            env["DATABASE_URL"] = through.render_as_string(hide_password=False)
        stack = FaultyStack(state, env, ports["public"], opened, folder / "crash-points")
        shared, key = request.session.stash[SHARED_STACKS], ("faulty", request.param)
        try:
            stack.start()
            shared[key] = stack
            yield stack
        finally:
            shared.pop(key, None)
            stack.stop()


def _crash_points(folder: Path) -> dict[str, str]:
    folder.mkdir()
    return {f"LONGSHORE_{who}_CRASH_POINTS": str(folder) for who in ("API", "WORKER")}


@pytest.fixture
def ledger(faulty: FaultyStack) -> Iterator[Ledger]:
    """What a test gets acknowledged; settled when the test has made its point."""
    kept = Ledger(faulty)
    yield kept
    kept.close()
