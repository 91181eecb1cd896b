"""Tell what the store can't do, once, and raise an alarm for as long as it refuses us."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shared.finding import Finding, Level, wrongs
from worker.object_store.self_test import refuses_us

AGAIN_SECONDS = 30.0
"""Between two self-tests: while something is wrong, and at least so long after the last."""

log = structlog.get_logger()


class StoreWatch:
    """Runs the self-test at the start, while something is wrong, and when a promotion is refused.

    Beside the work, which never waits for it: uploads that can't be put are kept and tried again.
    """

    def __init__(
        self, test: Callable[[], Awaitable[list[Finding]]], *, again: float = AGAIN_SECONDS
    ) -> None:
        self._test = test
        self._again = again
        self._refused = asyncio.Event()
        self._told: list[Finding] = []
        self.alarm = False
        """Whether the store refuses us: the worker isn't healthy then."""

    def refused(self) -> None:
        """Somebody's call was refused: find out why, soon."""
        self._refused.set()

    async def run(self) -> None:
        """For the life of the worker."""
        while True:
            self._refused.clear()
            findings = await self._tested()
            self._tell(findings)
            self.alarm = refuses_us(findings)
            await asyncio.sleep(self._again)
            if not wrongs(findings):
                await self._refused.wait()

    async def _tested(self) -> list[Finding]:
        try:
            return await self._test()
        except Exception:  # whatever a store makes of it, the work goes on
            log.exception("store_check_broke")
            return []

    def _tell(self, findings: list[Finding]) -> None:
        """Log what is new since the last time, in one line each."""
        for each in findings:
            if each in self._told:
                continue
            match each.level:
                case Level.OK:
                    log.info("store_checked", setting=each.name, found=each.text)
                case Level.WARNING:
                    log.warning("store_checked", setting=each.name, reason=each.text)
                case Level.WRONG:
                    log.error("store_checked", setting=each.name, reason=each.text)
        if wrongs(self._told) and not wrongs(findings):
            log.info("store_works_again")
        self._told = findings
