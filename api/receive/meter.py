"""Whether a body is too slow."""

from api.settings.pace import Pace


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
