"""The watchdog of the event loop: what held it, for how long, and who is not to blame."""

import asyncio
from collections.abc import Callable

import pytest
import structlog.testing
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from api.http.watched import WatchLoop
from api.telemetry.metrics import Longest, Metrics
from api.telemetry.watchdog import Watchdog


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.starved = 0.0


def _watchdog(time: Time) -> tuple[Watchdog, Metrics]:
    metrics = Metrics()
    watched = Watchdog(metrics, clock=lambda: time.now, starved=lambda: time.starved)
    return watched, metrics


async def _ask(time: Time, endpoint: Callable[[Request], object], method: str = "GET") -> Metrics:
    watchdog, metrics = _watchdog(time)
    routes = [Route("/forms/{form_id}", endpoint)]
    scope = {
        "type": "http",
        "method": method,
        "path": "/forms/frm_secret",
        "headers": [],
        "query_string": b"",
        "root_path": "",
    }

    async def send(_: object) -> None:
        await asyncio.sleep(0)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    await WatchLoop(Router(routes), watchdog, routes)(scope, receive, send)
    return metrics


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_long_hold_is_warned_of_by_its_route_and_never_its_path(method: str) -> None:
    time = Time()

    async def holds(_: Request) -> Response:
        await asyncio.sleep(0)
        time.now += 0.5
        return PlainTextResponse("late")

    with structlog.testing.capture_logs() as logs:
        metrics = await _ask(time, holds, method)
    assert logs == [
        {
            "event": "loop_held",
            "log_level": "warning",
            "route": f"{method} /forms/{{form_id}}",
            "seconds": 0.5,
        }
    ]
    assert b"longshore_loop_longest_hold_seconds 0.5" in metrics.text()


async def test_who_only_waits_holds_nothing() -> None:
    time = Time()

    async def waits(_: Request) -> Response:
        waiting = asyncio.get_running_loop().create_future()

        def later() -> None:
            time.now += 5
            waiting.set_result(None)

        asyncio.get_running_loop().call_soon(later)
        await waiting
        return PlainTextResponse("patient")

    with structlog.testing.capture_logs() as logs:
        metrics = await _ask(time, waits)
    assert logs == []
    assert b"longshore_loop_longest_hold_seconds 0.0" in metrics.text()


async def test_a_route_is_not_accused_of_what_the_machine_did() -> None:
    time = Time()

    async def starves(_: Request) -> Response:
        time.now += 2
        time.starved += 1.95
        return PlainTextResponse("starved")

    with structlog.testing.capture_logs() as logs:
        metrics = await _ask(time, starves)
    assert logs == []
    assert metrics.registry.get_sample_value("longshore_loop_longest_hold_seconds") == (
        pytest.approx(0.05)
    )


async def test_results_errors_and_cancellation_pass_through_the_watch() -> None:
    watchdog, _ = _watchdog(Time())
    seen: list[str] = []

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    assert await watchdog.watch(answer(), str) == 42
    with pytest.raises(KeyError):
        await watchdog.watch(fails(), str)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await watchdog.watch(endless(), str)
    assert seen == ["cancelled"]


def test_the_longest_hold_is_seen_by_every_scrape_for_a_minute_and_then_forgotten() -> None:
    now = [0.0]
    holds = Longest(lambda: now[0])
    holds.note(0.4)
    holds.note(0.1)
    assert [holds.longest(), holds.longest()] == [0.4, 0.4]
    now[0] = 70
    assert holds.longest() == 0.4
    now[0] = 130
    assert holds.longest() == 0.0
