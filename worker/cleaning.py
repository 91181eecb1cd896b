"""Delete what is under doomed prefixes, as the record orders it."""

import structlog

from worker.breaker import Breaker
from worker.errors import TransientError
from worker.object_store import ObjectStore
from worker.records_client import RecordsClient, RecordsUnavailable

log = structlog.get_logger()


class Cleaner:
    def __init__(self, records: RecordsClient, store: ObjectStore, breaker: Breaker) -> None:
        self._records = records
        self._store = store
        self._breaker = breaker

    async def clean(self) -> None:
        """Work off what is due, while the store is there. What isn't confirmed is ordered again
        later."""
        try:
            while not self._breaker.is_open and (
                cleanings := await self._records.claim_cleanings()
            ):
                for cleaning in cleanings:
                    deleted = await self._store.clean(cleaning.prefix)
                    await self._records.confirm_cleaning(cleaning)
                    log.info("prefix_cleaned", cleaning_id=cleaning.id, deleted=deleted)
        except (RecordsUnavailable, TransientError) as error:
            log.warning("cleaning_broke_off", reason=str(error))
