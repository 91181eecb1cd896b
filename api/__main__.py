"""`python -m api`: serve both listeners and sweep, until SIGTERM or SIGINT."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop
from pydantic import ValidationError
from starlette.types import ASGIApp

from api.app import create_internal_app, create_public_app
from api.diagnosis.listeners import check_listeners
from api.diagnosis.redis import check_redis
from api.http.protocol import BoundedHead
from api.services import open_services
from api.settings import Settings
from api.sweep import Sweep
from shared.finding import Level, StartError, refuse, wrongs
from shared.logs import configure_logs
from shared.settings_errors import explain

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """One of two servers in a process, which handles the signals for both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, host: str, port: int, settings: Settings) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=BoundedHead,
            loop="uvloop",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
    )


async def serve(settings: Settings) -> None:
    """Serve until a signal comes; what is being received may finish within its grace.

    Raises `StartError` with all that is wrong.
    """
    taken = wrongs(check_listeners(settings))
    if taken:
        raise StartError(taken)
    async with open_services(settings) as services:
        servers = [
            _server(create_public_app(services), settings.host, settings.port, settings),
            _server(
                create_internal_app(services),
                settings.internal_host,
                settings.internal_port,
                settings,
            ),
        ]
        _stop_on_signals(servers)
        sweeping = asyncio.create_task(Sweep(services).run())
        sweeping.add_done_callback(lambda _: _stop(servers))  # without a sweep there is no promise
        telling = asyncio.create_task(_tell_of_redis(settings.redis_url))
        log.info("api_starting", port=settings.port, internal_port=settings.internal_port)
        try:
            await asyncio.gather(*(server.serve() for server in servers))
        finally:
            telling.cancel()
            sweeping.cancel()
            await asyncio.gather(sweeping, telling, return_exceptions=True)
            log.info("api_stopped")


async def _tell_of_redis(url: str) -> None:
    """Beside the start, which doesn't wait for it: uploads are taken without Redis."""
    finding = await check_redis(url)
    if finding.level is not Level.OK:
        log.warning("start_check", setting=finding.name, reason=finding.text)


def _stop_on_signals(servers: list[_Server]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)


def _stop(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        return refuse("api", explain(error))
    configure_logs("api", settings.log_level, settings.log_format)
    try:
        uvloop.run(serve(settings))
    except StartError as error:
        return refuse("api", error.findings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
