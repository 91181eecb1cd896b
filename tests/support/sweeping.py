"""A sweep whose queue takes everything at once, where Redis is not what is looked at."""

import math
from collections.abc import Sequence

from api.services import Services
from api.upkeep.sweep import Sweep


def willing_sweep(services: Services) -> Sweep:
    """Its first lease after the start is over."""

    async def length() -> int:
        return 0

    async def holds(wakes: Sequence[tuple[str, int]]) -> set[tuple[str, int]]:
        return set(wakes)

    async def wake(wakes: Sequence[tuple[str, int]]) -> bool:  # noqa: ARG001 - the seam's signature
        return True

    async def order_cleaning(minute: int) -> bool:  # noqa: ARG001 - the seam's signature
        return True

    services.queue.length = length  # type: ignore[method-assign] # a stand-in
    services.queue.holds = holds  # type: ignore[method-assign] # a stand-in
    services.queue.wake = wake  # type: ignore[method-assign] # a stand-in
    services.queue.order_cleaning = order_cleaning  # type: ignore[method-assign] # a stand-in
    sweep = Sweep(services)
    sweep.patience.hearing_since = -math.inf
    return sweep
