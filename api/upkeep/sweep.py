"""The sweep: finds what nobody is driving on, and drives it on.

It only requeues or deletes. What it finds is found by an index, a batch at a time, so that a sweep
costs what there is to do and not what there is. Each thing it does is a guarded transaction of its
own: several replicas may sweep at once, and what fails is tried again by the next sweep.

Its duties are the other modules here, each with its steps.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from api.records.database import CommitUnknown, DatabaseUnavailable
from api.services import Services
from api.upkeep.ageing import Ageing
from api.upkeep.clearing import Clearing
from api.upkeep.each import Each
from api.upkeep.erasing import Erasing
from api.upkeep.forgetting import Forgetting
from api.upkeep.lost_leases import LostLeases
from api.upkeep.overdue import Overdue
from api.upkeep.patience import Patience
from api.upkeep.receiving import Receiving
from api.upkeep.waking import Waking

log = structlog.get_logger()

Step = Callable[[], Awaitable[None]]


class Sweep:
    """Runs until cancelled."""

    def __init__(self, services: Services) -> None:
        settings, database, metrics = services.settings, services.database, services.metrics
        self._pause = settings.sweep_seconds
        self._metrics = metrics
        self.patience = Patience(settings.sweep_seconds, settings.lease_seconds)
        each = Each(database, self.patience)
        self.waking = Waking(database, services.queue, high_water=settings.queue_high_water)
        self.lost_leases = LostLeases(database, settings, metrics, each, self.patience)
        self.overdue = Overdue(database, each)
        self.receiving = Receiving(services, each)
        self.ageing = Ageing(database, settings.retention, each)
        self.erasing = Erasing(database, services.queue, each)
        self.forgetting = Forgetting(database, quarantine_seconds=settings.quarantine_seconds)
        self.clearing = Clearing(
            database,
            services.staging,
            services.mount,
            metrics,
            orphan_seconds=settings.orphan_seconds,
            quarantine_seconds=settings.quarantine_seconds,
        )

    async def run(self) -> None:
        """Sweep, pause, and so on."""
        while True:
            await self.once()
            await asyncio.sleep(self._pause)

    async def once(self) -> None:
        """One sweep. A step that fails is logged and doesn't stop the others."""
        began = time.monotonic()
        failed = [step.__name__ for step in self._steps() if not await self._succeeds(step)]
        self._metrics.swept(time.monotonic() - began, failed)

    def _steps(self) -> tuple[Step, ...]:
        """What waits for a worker first, and last the volume, which may be slow."""
        return (
            self.waking.wake_due,
            self.waking.wake_forgotten,
            self.lost_leases.take_back_lost_leases,
            self.overdue.fail_overdue,
            self.receiving.finish_complete,
            self.receiving.expire_abandoned,
            self.erasing.order_cleaning,
            self.forgetting.forget_done,
            self.ageing.date_drafts,
            self.ageing.warn_of_ending_bytes,
            self.ageing.drop_old_bytes,
            self.ageing.purge_old_forms,
            self.forgetting.forget_begun_drafts,
            self.erasing.erase_purged,
            self.clearing.clear_volume,
        )

    async def _succeeds(self, step: Step) -> bool:
        self.patience.still_alive()
        try:
            await step()
        except (DatabaseUnavailable, CommitUnknown):
            self.patience.begin()
            log.warning("sweep_without_database", step=step.__name__)
        except Exception:
            log.exception("sweep_step_failed", step=step.__name__)
        else:
            return True
        return False
