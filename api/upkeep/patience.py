"""Patience with leases: each looks lost after a time in which no heartbeat could come in."""

import time


class Patience:
    """Whether a lease that is over means that its worker is lost (protocol P3).

    It doesn't for one lease after a start, after a database that was away, and after the process
    hung: heartbeats could not come in, and have that long to do it now.
    """

    def __init__(self, pause: float, lease: float) -> None:
        """Seconds between two sweeps, and of a lease."""
        self._lease = lease
        self._longest_silence = pause + lease / 2
        self._last_alive = time.monotonic()
        self.hearing_since = time.monotonic()
        """Since when heartbeats can come in, on the process's own clock."""

    def still_alive(self) -> None:
        """Said between any two things the sweep does: where much time lies between them something
        hung, and heartbeats may have hung with it. Much to do is no reason to be patient."""
        now, before = time.monotonic(), self._last_alive
        self._last_alive = now
        if now - before > self._longest_silence:
            self.begin()

    def begin(self) -> None:
        """Take no lease for lost for one lease from now."""
        self.hearing_since = time.monotonic()

    @property
    def lasts(self) -> bool:
        """Whether no lease is to be taken for lost yet."""
        return self.heard_seconds < self._lease

    @property
    def heard_seconds(self) -> float:
        """For how long heartbeats have been coming in."""
        return time.monotonic() - self.hearing_since
