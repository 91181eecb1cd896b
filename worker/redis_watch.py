"""Wait for a Redis that is away, refuses us or is silent, and say so once."""

import asyncio
import contextlib

import structlog
from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    RedisError,
    ResponseError,
)

from shared.reaching import CUT_OFF

REFUSED = (AuthenticationError, AuthorizationError, BusyLoadingError, ResponseError)
"""It answers, and won't have us: NOAUTH, LOADING, READONLY and their like."""
LOST = (RedisError, *CUT_OFF)
"""What a call raises when Redis is lost; a name that is gone is an `OSError`."""
ASK_EVERY = 0.5
ANSWER_SECONDS = 1.0
"""For one question: a silent Redis is asked again, on a new connection."""

log = structlog.get_logger()


class RedisWatch:
    """Tells of a Redis that is lost and of its return, and knows when to try again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._told = ""

    def lost(self, error: BaseException) -> None:
        """Log it, once for each kind of trouble: an error where somebody has to do something, as
        it answers and won't have us, and a warning where it may just come back."""
        reason = f"{type(error).__name__}: {error}"
        if reason == self._told:
            return
        self._told = reason
        tell = log.error if isinstance(error, REFUSED) else log.warning
        tell("redis_lost", setting="REDIS_URL", reason=reason)

    def works(self) -> None:
        if self._told:
            self._told = ""
            log.info("redis_works_again")

    async def answers(self) -> bool:
        """Whether it answers a new connection now; why not is told when it is another reason."""
        client = Redis.from_url(
            self._url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await client.ping()
        except REFUSED as error:
            self.lost(error)
            return False
        except LOST:
            return False
        finally:
            with contextlib.suppress(*LOST):
                await client.aclose()
        return True
