"""How slow a body may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Nothing for `idle_seconds` is too slow, and so are fewer than `min_bytes_per_second` over
    `window_seconds`. Only time in which we wait for the client counts."""

    idle_seconds: float
    min_bytes_per_second: float = 0
    window_seconds: float = 60


class Meter:
    """Measures one body. The first window is a grace: nothing is judged before it is over."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._waited = 0.0
        self._came = 0

    def too_slow(self, count: int, waited: float) -> bool:
        """Whether the body is too slow, now that `count` bytes came after `waited` seconds."""
        self._waited += waited
        self._came += count
        if self._waited < self._pace.window_seconds:
            return False
        slow = self._came < self._pace.min_bytes_per_second * self._waited
        self._waited, self._came = 0.0, 0
        return slow
