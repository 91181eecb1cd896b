"""Whether workers can be woken. Uploads are taken without Redis: nothing here stops a start."""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.finding import Finding, ok, warning
from shared.reaching import CUT_OFF, address, why

NAME = "REDIS_URL"
ANSWER_SECONDS = 3.0


async def check_redis(url: str) -> Finding:
    where = address(url, 6379)
    client = Redis.from_url(url, socket_connect_timeout=ANSWER_SECONDS)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.ping()
    except (RedisError, *CUT_OFF) as error:
        away = why(error, where)
        reason = f"{away}; start Redis" if away else f"{where} refuses us ({error})"
        return warning(NAME, f"{reason}, or correct the address. Uploads are taken, and wait")
    finally:
        await client.aclose()
    return ok(NAME, f"{where} answers")
