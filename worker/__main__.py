"""`python -m worker`: promote uploads until SIGTERM or SIGINT."""

import sys

import uvloop
from pydantic import ValidationError

from shared import crash_points
from shared.finding import StartError, refuse
from shared.logs import configure_logs
from shared.settings_errors import explain
from worker.main import run
from worker.settings import Settings


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        return refuse("worker", explain(error))
    configure_logs("worker", settings.log_level, settings.log_format)
    crash_points.arm(settings.crash_points)
    try:
        uvloop.run(run(settings))
    except StartError as error:
        return refuse("worker", error.findings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
