"""`python -m worker`: promote uploads until SIGTERM or SIGINT."""

import sys

import structlog
import uvloop
from pydantic import ValidationError
from redis.exceptions import RedisError

from shared.logs import configure_logs
from shared.settings_errors import explain
from worker.main import run
from worker.settings import Settings


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(f"worker: {explain(error)}\n")
        return 1
    configure_logs("worker", settings.log_level, settings.log_format)
    try:
        uvloop.run(run(settings))
    except (RedisError, OSError) as error:
        structlog.get_logger().error("worker_lost_redis", error=str(error) or type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
