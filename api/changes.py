"""What happens after a commit: one log line a change, and a nudge for who waits."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from api.records.database import Change

log = structlog.get_logger()
T = TypeVar("T")

RECHECK_SECONDS = 1.0
"""A change made by another replica is seen this late at most."""


class Changes:
    """Told of every committed change; lets requests wait for one without holding a connection."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def committed(self, changes: list[Change]) -> None:
        for change in changes:
            if change.upload_id and change.before != change.after:
                log.info(
                    "upload_transition",
                    upload_id=change.upload_id,
                    form_id=change.form_id,
                    field=change.field,
                    generation=change.generation,
                    request_id=change.request_id,
                    **{"from": change.before, "to": change.after},
                )
            elif change.upload_id is None and change.before != change.after:
                log.info(
                    "form_transition",
                    form_id=change.form_id,
                    **{"from": change.before, "to": change.after},
                )
        for form_id in {change.form_id for change in changes}:
            for waiter in self._waiting.get(form_id, ()):
                waiter.set()

    async def wait_until(
        self,
        form_id: str,
        read: Callable[[], Awaitable[T]],
        done: Callable[[T], bool],
        seconds: float,
    ) -> T:
        """What `read` says once `done` holds for it, or after `seconds`."""
        deadline = asyncio.get_running_loop().time() + seconds
        changed = asyncio.Event()
        self._waiting[form_id].add(changed)
        try:
            while True:
                changed.clear()
                value = await read()
                left = deadline - asyncio.get_running_loop().time()
                if done(value) or left <= 0:
                    return value
                try:
                    async with asyncio.timeout(min(left, RECHECK_SECONDS)):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting[form_id].discard(changed)
            if not self._waiting[form_id]:
                del self._waiting[form_id]
