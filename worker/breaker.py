"""Whether to ask another service at all: one that is away holds up nobody who doesn't need it."""

import time
from collections.abc import Callable

import structlog

from shared.causes import Cause
from shared.status import StoreState
from worker.errors import TransientError

log = structlog.get_logger()


class Breaker:
    """Closed while the service does what it is asked; open from its first failure until its
    self-test passes, or a call that was under way. What else is done to find out: see `Watch`."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, name: Cause = Cause.STORE
    ) -> None:
        """`name` is the service's, in logs and as the cause of what is given back for its sake."""
        self._clock = clock
        self.name = name
        self._since = self._answered_at = clock()
        self.state = StoreState.OK
        self.on_change: list[Callable[[], None]] = []
        """Called after every change of `state`."""

    @property
    def is_open(self) -> bool:
        return self.state is not StoreState.OK

    @property
    def seconds(self) -> float:
        """How long it has been open, or closed."""
        return self._clock() - self._since

    @property
    def silent_seconds(self) -> float:
        """Since the service last answered anything."""
        return self._clock() - self._answered_at

    @property
    def cause(self) -> Cause | None:
        """Of what is given back because it is open; None while it is closed."""
        causes = {StoreState.AWAY: self.name, StoreState.REFUSED: Cause(f"{self.name}-refused")}
        return causes.get(self.state)

    def answered(self) -> None:
        """The service gave a sign of life."""
        self._answered_at = self._clock()

    def failed(self, error: TransientError) -> None:
        """Open for an error that is the service's, and not one file's."""
        refused = error.cause == Cause.STORE_REFUSED
        self.trip(StoreState.REFUSED if refused else StoreState.AWAY, str(error))

    def trip(self, state: StoreState, reason: str) -> None:
        """Open, or stay open for another reason."""
        if state is self.state:
            return
        if not self.is_open:
            self._since = self._clock()
        log.warning("breaker_opened", reason=reason, **{self.name: state})
        self._become(state)

    def close(self) -> None:
        if self.is_open:
            log.info("breaker_closed", of=self.name, after_seconds=round(self.seconds, 1))
            self._since = self._clock()
            self._become(StoreState.OK)

    def _become(self, state: StoreState) -> None:
        self.state = state
        for tell in self.on_change:
            tell()
