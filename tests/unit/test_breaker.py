"""A store that is away is found out soon, asked again gently, and closes nobody else's way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from structlog.testing import capture_logs

from shared.causes import Cause
from shared.finding import Finding, ok, warning, wrong
from shared.status import StoreState
from worker.breaker import Breaker
from worker.errors import KeyTaken, SourceChanged, TransientError
from worker.object_store import concerns_store
from worker.object_store.self_test import refuses_us
from worker.watch import Pauses, SelfTested, Watch

AWAY = wrong("S3_ENDPOINT_URL", "nothing listens")
UNKNOWN_KEY = wrong("S3_ACCESS_KEY_ID", "the store doesn't know this key")
FINE = ok("S3_ENDPOINT_URL", "does all")
QUICK = Pauses(silence=0.02, patience=1, first=0.01, away=0.02, refused=0.02, again=0.05)


class Store:
    """As a test wants it; what was asked of it is counted."""

    def __init__(self) -> None:
        self.away: Finding | None = None
        self.finding = FINE
        self.takes_puts = True
        self.answers_after = 0.0
        self.knocks = self.self_tests = 0

    async def knock(self, seconds: float) -> Finding | None:
        self.knocks += 1
        await asyncio.sleep(min(self.answers_after, seconds))
        return AWAY if self.answers_after > seconds else self.away

    async def self_test(self) -> SelfTested:
        self.self_tests += 1
        return SelfTested([self.finding], self.takes_puts, refuses_us([self.finding]))

    @contextmanager
    def gone(self) -> Iterator[None]:
        self.away = AWAY
        try:
            yield
        finally:
            self.away = None

    @contextmanager
    def refusing(self) -> Iterator[None]:
        self.finding, self.takes_puts = UNKNOWN_KEY, False
        try:
            yield
        finally:
            self.finding, self.takes_puts = FINE, True


@asynccontextmanager
async def watching(store: Store, breaker: Breaker, pauses: Pauses = QUICK) -> AsyncIterator[Watch]:
    watch = Watch(store, breaker, pauses)
    running = asyncio.create_task(watch.run())
    try:
        await until(lambda: store.self_tests or store.away)
        yield watch
    finally:
        running.cancel()
        await asyncio.wait([running])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for rings no bell
            await asyncio.sleep(0.005)


def failure(cause: Cause = Cause.STORE) -> TransientError:
    return TransientError(cause, counted=False, detail="why")


# --- the breaker


def test_it_opens_at_the_first_failure_and_says_for_how_long_it_was_open() -> None:
    now = [100.0]
    breaker = Breaker(lambda: now[0])
    changes: list[StoreState] = []
    breaker.on_change.append(lambda: changes.append(breaker.state))
    with capture_logs() as logs:
        now[0] = 130
        breaker.failed(failure())
        breaker.failed(failure())
        assert (breaker.is_open, breaker.cause, breaker.seconds) == (True, Cause.STORE, 0)
        now[0] = 142.5
        assert breaker.seconds == 12.5
        breaker.close()
        breaker.close()
    assert (breaker.is_open, breaker.cause, breaker.seconds) == (False, None, 0)
    assert changes == [StoreState.AWAY, StoreState.OK]
    assert [(each["event"], each["log_level"]) for each in logs] == [
        ("breaker_opened", "warning"),
        ("breaker_closed", "info"),
    ]
    assert logs[1]["after_seconds"] == 12.5


def test_a_store_that_refuses_us_and_then_hangs_has_been_away_since_it_refused() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    breaker.failed(failure(Cause.STORE_REFUSED))
    assert (breaker.state, breaker.cause) == (StoreState.REFUSED, Cause.STORE_REFUSED)
    now[0] = 5
    breaker.trip(StoreState.AWAY, "hangs")
    assert (breaker.state, breaker.seconds) == (StoreState.AWAY, 5)


@pytest.mark.parametrize(
    ("error", "concerns"),
    [
        (failure(Cause.STORE), True),
        (failure(Cause.STORE_REFUSED), True),
        (failure(Cause.VOLUME), False),
        (SourceChanged("shrank"), False),
        (KeyTaken("a/b"), False),
    ],
)
def test_what_concerns_one_object_alone_says_nothing_of_the_store(
    error: TransientError, *, concerns: bool
) -> None:
    assert concerns_store(error) is concerns


# --- what opens and closes it


async def test_silence_is_asked_for_a_sign_of_life_and_none_opens_the_breaker() -> None:
    store, breaker = Store(), Breaker()
    async with watching(store, breaker):
        with store.gone():
            await until(lambda: breaker.is_open)
            assert breaker.state is StoreState.AWAY
        await until(lambda: not breaker.is_open)
    assert store.self_tests >= 2, "its self-test closes it, and a sign of life doesn't"


async def test_nothing_is_asked_while_answers_come_anyway() -> None:
    store, breaker = Store(), Breaker()
    async with watching(store, breaker, Pauses(silence=0.5)):
        asked = store.knocks
        for _ in range(20):
            breaker.answered()
            await asyncio.sleep(0.05)
        assert store.knocks == asked


async def test_nothing_is_written_to_a_store_that_gives_no_sign_of_life() -> None:
    store, breaker = Store(), Breaker()
    with store.gone():
        async with watching(store, breaker):
            await until(lambda: store.knocks > 3)
            assert store.self_tests == 0


async def test_a_put_that_failed_has_the_store_tested_at_once() -> None:
    store, breaker = Store(), Breaker()
    async with watching(store, breaker, Pauses(silence=60, first=60, away=60)):
        breaker.failed(failure())
        await until(lambda: not breaker.is_open)
    assert store.self_tests == 2


async def test_a_store_that_takes_no_puts_keeps_it_open_and_pauses_grow() -> None:
    store, breaker = Store(), Breaker()
    with store.refusing():
        async with watching(store, breaker, Pauses(silence=0.02, first=0.02, refused=60)):
            await until(lambda: store.self_tests >= 4)
            await asyncio.sleep(0.2)
            assert store.self_tests <= 5, "0.02, 0.04, 0.08, 0.16 s …"
            assert breaker.state is StoreState.REFUSED


async def test_the_alarm_lasts_from_a_refusal_until_the_store_takes_us_again() -> None:
    store, breaker = Store(), Breaker()
    async with watching(store, breaker) as watch:
        assert not watch.alarm
        with store.refusing():
            breaker.failed(failure(Cause.STORE_REFUSED))
            await until(lambda: watch.alarm)
            with store.gone():
                await until(lambda: not watch.alarm)
                assert breaker.state is StoreState.AWAY, "it may come back by itself"
            await until(lambda: watch.alarm)
        await until(lambda: not breaker.is_open)
        assert not watch.alarm


async def test_a_store_too_slow_for_any_test_is_given_puts_now_and_then() -> None:
    store, breaker = Store(), Breaker()
    store.answers_after, store.finding, store.takes_puts = 0.05, AWAY, False
    closed = []
    breaker.on_change.append(lambda: closed.append(not breaker.is_open))
    pauses = Pauses(silence=0.02, patience=0.02, most_patience=1, first=0.01, away=0.02)
    async with watching(store, breaker, pauses):
        await until(lambda: closed.count(True) >= 2)


async def test_a_store_that_answers_soon_and_fails_its_test_is_given_none() -> None:
    store, breaker = Store(), Breaker()
    store.finding, store.takes_puts = AWAY, False
    async with watching(store, breaker):
        await until(lambda: store.self_tests > 5)
        assert breaker.is_open


async def test_a_permission_that_no_put_needs_raises_the_alarm_and_holds_nothing_up() -> None:
    store, breaker = Store(), Breaker()
    store.finding = wrong("S3_ACCESS_KEY_ID", "the store refuses DeleteObject")
    async with watching(store, breaker) as watch:
        await until(lambda: watch.alarm)
        assert not breaker.is_open
        store.finding = FINE
        await until(lambda: not watch.alarm)


async def test_a_self_test_that_breaks_down_leaves_the_puts_to_find_out() -> None:
    class Broken(Store):
        async def self_test(self) -> SelfTested:
            self.self_tests += 1
            raise RuntimeError("nobody knows it")

    breaker = Breaker()
    async with watching(Broken(), breaker):
        breaker.failed(failure())
        await until(lambda: not breaker.is_open)


def test_a_store_that_is_only_away_raises_no_alarm() -> None:
    assert not refuses_us([AWAY])
    assert refuses_us([wrong("S3_BUCKET", "gone")])
    assert not refuses_us([warning("S3_BUCKET", "public")])
