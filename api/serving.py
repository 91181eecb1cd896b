"""Both listeners and the sweep, from the settings to the last answer."""

import asyncio
import contextlib
import gc
import resource
import signal
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop
from pydantic import ValidationError
from starlette.types import ASGIApp

from api.app import create_internal_app, create_public_app, refusals
from api.diagnosis.listeners import check_listeners
from api.diagnosis.redis import check_redis
from api.http.connections import Connections
from api.http.protocol import BoundedHead, bounded
from api.services import Services
from api.settings.public_url import path_of
from api.settings.settings import Settings
from api.start import open_services
from api.upkeep.sweep import Sweep
from shared import crash_points
from shared.finding import Level, StartError, refuse, wrongs
from shared.logs import configure_logs
from shared.settings_errors import explain

log = structlog.get_logger()

LAST_REQUESTS = 0.5
"""Seconds for the requests of connections that were made before the door was closed."""
CANCEL_AFTER = 1
"""Seconds for what is still under way when the grace is over."""
INSIST_SECONDS = 0.2
"""Between two times that a task is cancelled."""
FILES_BESIDE = 256


class _Server(uvicorn.Server):
    """One of two servers in a process, which handles the signals for both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, host: str, port: int, protocol: type[BoundedHead]) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=protocol,
            proxy_headers=False,  # KnowClient reads them, and knows whose to believe
            ws="none",  # an upgrade would take the connection out of our count
            loop="uvloop",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=CANCEL_AFTER,
        )
    )


async def serve(settings: Settings) -> None:
    """Serve until a signal comes; what is being received may finish within its grace.

    Raises `StartError` with all that is wrong.
    """
    taken = wrongs(check_listeners(settings))
    if taken:
        raise StartError(taken)
    _allow_files(settings.max_connections + settings.max_internal_connections)
    async with open_services(settings) as services:
        limits = (settings.receive_head_seconds, settings.send_idle_seconds)
        connections = Connections(
            settings.max_connections, settings.max_connections_per_client, settings.proxies
        )
        servers = [
            _server(
                create_public_app(services),
                settings.host,
                settings.port,
                bounded(
                    *limits,
                    connections,
                    services.watchdog,
                    path_of(settings.public_url)[1],
                    refusals(services, "public"),
                ),
            ),
            _server(
                create_internal_app(services),
                settings.internal_host,
                settings.internal_port,
                bounded(
                    *limits,
                    Connections(settings.max_internal_connections),
                    services.watchdog,
                    refused=refusals(services, "internal"),
                ),
            ),
        ]
        _spare_the_collector()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        sweeping = asyncio.create_task(
            services.watchdog.watch(Sweep(services).run(), lambda: "sweep")
        )
        sweeping.add_done_callback(lambda _: stop.set())  # without a sweep there is no promise
        stopping = asyncio.create_task(_stop(stop, servers, services))
        telling = asyncio.create_task(_tell_of_redis(settings.redis_url))
        log.info("api_starting", port=settings.port, internal_port=settings.internal_port)
        try:
            await asyncio.gather(*(server.serve() for server in servers))
            if sweeping.done():
                sweeping.result()  # it ended by itself: say why, and be started again
            await services.stopping.finished(
                CANCEL_AFTER
            )  # what was cancelled takes its bytes back
        finally:
            await end(sweeping, stopping, telling)
            log.info("api_stopped")


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel them until they have ended, whatever they end with. redis-py writes under
    `asyncio.wait_for`, which before Python 3.12 drops a cancel that comes just as what it waits for
    is done (https://github.com/python/cpython/issues/86296): the sweep would go on for ever, in a
    process that serves nobody any more."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=INSIST_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)  # so that none is complained of later


async def _tell_of_redis(url: str) -> None:
    """Beside the start, which doesn't wait for it: uploads are taken without Redis."""
    finding = await check_redis(url)
    if finding.level is not Level.OK:
        log.warning("start_check", setting=finding.name, reason=finding.text)


async def _stop(stop: asyncio.Event, servers: list[_Server], services: Services) -> None:
    """Once it is to stop: close the door, refuse what is new, let finish what is under way, within
    the grace. The internal listener serves until then, for the workers.

    A proxy passes on to another replica what can't be connected, and nothing that it sent. So who
    was let in still has time to ask.
    """
    await stop.wait()
    for listening in servers[0].servers if servers[0].started else ():
        listening.close()
    await asyncio.sleep(LAST_REQUESTS)
    services.stopping.begin()
    log.info("api_stopping")
    services.streams.close()  # who follows comes back, to another replica
    services.waiters.close()  # who waits is told how things stand, and asks the next one
    await services.stopping.finished(services.settings.shutdown_seconds)
    for server in servers:
        server.should_exit = True


def _spare_the_collector() -> None:
    """Leave out what stays for good whenever garbage is looked for, which holds the loop. It isn't
    looked for in that: two thousand small objects of the imports are all there is."""
    gc.freeze()
    gc.enable()


def _allow_files(connections: int) -> None:
    """As many open files as there may be connections, and those that each of them receives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    try:
        settings = Settings()
    except ValidationError as error:
        return refuse("api", explain(error))
    configure_logs("api", settings.log_level, settings.log_format)
    crash_points.arm(settings.crash_points)
    try:
        uvloop.run(serve(settings))
    except StartError as error:
        return refuse("api", error.findings)
    return 0
