"""Doomed prefixes are cleaned while the store is there, and left alone while it isn't."""

from typing import cast

from shared.causes import Cause
from shared.internal_api import Cleaning
from shared.status import StoreState
from worker.breaker import Breaker
from worker.cleaning import Cleaner
from worker.errors import TransientError
from worker.object_store import ObjectStore
from worker.records_client import RecordsClient


class Records:
    """Has one cleaning after the other, up to a number of them."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.claims = 0
        self.confirmed: list[int] = []

    async def claim_cleanings(self) -> list[Cleaning]:
        self.claims += 1
        self.left -= 1
        return [Cleaning(id=self.left, prefix="a/upl_1.1/", passes=0)] if self.left >= 0 else []

    async def confirm_cleaning(self, cleaning: Cleaning) -> None:
        self.confirmed.append(cleaning.id)


class Store:
    """Fails at its second cleaning."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self.cleaned = 0

    async def clean(self, _: str) -> int:
        if self.cleaned:
            error = TransientError(Cause.STORE, counted=False)
            self._breaker.failed(error)
            raise error
        self.cleaned += 1
        return 1


async def test_an_open_breaker_leaves_cleanings_to_later_and_to_others() -> None:
    records, breaker = Records(3), Breaker()
    store = Store(breaker)
    cleaner = Cleaner(cast("RecordsClient", records), cast("ObjectStore", store), breaker)
    await cleaner.clean()
    assert (records.claims, records.confirmed) == (2, [2]), "broken off at the failure"
    await cleaner.clean()
    assert records.claims == 2, "nothing is even asked for"
    breaker.trip(StoreState.REFUSED, "the key is gone")
    await cleaner.clean()
    assert records.claims == 2
    breaker.close()
    store.cleaned = 0
    await cleaner.clean()
    assert records.confirmed == [2, 0]
