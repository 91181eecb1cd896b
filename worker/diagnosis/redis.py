"""Whether jobs come through, and whether Redis would keep them."""

import asyncio
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from shared.finding import Finding, ok, warning, wrong
from shared.reaching import CUT_OFF, address, why

NAME = "REDIS_URL"
ANSWER_SECONDS = 5.0


async def check_redis(url: str, *, away: Callable[[str, str], Finding] = wrong) -> list[Finding]:
    """One finding when it can't be used, else what it is and what it may lose. `away` is the
    finding for one that doesn't answer and may yet come; one that refuses us is wrong."""
    where = address(url, 6379)
    client = Redis.from_url(url, socket_connect_timeout=ANSWER_SECONDS, decode_responses=True)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.ping()
            about: dict[str, Any] = await client.info()
            return [*_described(about, where)]
    except NoPermissionError:  # an account for the queue alone
        return [ok(NAME, f"{where} answers, and doesn't say how it keeps jobs")]
    except (RedisError, *CUT_OFF) as error:
        refuses = isinstance(error, AuthenticationError | ResponseError)
        found = wrong if refuses else away
        return [found(NAME, _refused(error, where))]
    finally:
        await client.aclose()


def _refused(error: BaseException, where: str) -> str:
    if isinstance(error, AuthenticationError):
        return f"{where} refuses user or password; correct them: redis://user:password@host:6379/0"
    if isinstance(error, ResponseError):
        return f"{where} refuses us ({error}); correct the address"
    away = why(error, where) or f"{where} doesn't answer like a Redis ({error})"
    return f"{away}; start Redis, or correct the address"


def _described(about: dict[str, Any], where: str) -> list[Finding]:
    found = [ok(NAME, f"{where} answers, Redis {about.get('redis_version', '?')}")]
    policy = about.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        found.append(
            warning(
                NAME,
                f"its maxmemory-policy is {policy}: jobs get lost when memory is short, and uploads"
                " wait for the sweep; set maxmemory-policy noeviction",
            )
        )
    if not int(about.get("aof_enabled", 1)):
        found.append(
            warning(
                NAME,
                "it appends to no file: a restart loses all jobs, and uploads wait for the sweep;"
                " set appendonly yes",
            )
        )
    return found
