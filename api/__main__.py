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
from api.http.protocol import BoundedHead
from api.records.migrate import SchemaError
from api.services import StartError, open_services
from api.settings import Settings
from api.sweep import Sweep
from shared.form_definition import FormDefinitionError
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
    """Serve until a signal comes; what is being received may finish within its grace."""
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
        log.info("api_starting", port=settings.port, internal_port=settings.internal_port)
        try:
            await asyncio.gather(*(server.serve() for server in servers))
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            log.info("api_stopped")


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
        return _refuse(explain(error))
    configure_logs("api", settings.log_level, settings.log_format)
    try:
        uvloop.run(serve(settings))
    except (FormDefinitionError, SchemaError, StartError) as error:
        return _refuse(str(error))
    return 0


def _refuse(reason: str) -> int:
    sys.stderr.write(f"api: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
