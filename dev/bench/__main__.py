"""`./longshore bench ...`: its options, and an end in good order."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dev import environments, state
from dev.bench.convert import convert
from dev.bench.decoder import decoder
from dev.bench.longshore_api import redis_server
from dev.bench.poll import poll
from dev.bench.promote import promote
from dev.bench.receive import receive
from dev.bench.sections import sections
from dev.bench.sweep import sweep
from dev.bench.waiting import waiting
from dev.say import Problem, explain


@dataclass(frozen=True)
class Bench:
    run: Callable[[argparse.Namespace], Awaitable[None]]
    environments: tuple[str, ...]
    rounds: int
    what: str
    needs_redis: bool = True
    takes_database: bool = False


BENCHES = {
    "convert": Bench(
        convert, (), 5, "one file through the decoder, beside the libraries", needs_redis=False
    ),
    "promote": Bench(
        promote,
        ("run", "seaweedfs"),
        1,
        "from the acknowledgement to the bucket, through the whole stack",
    ),
    "poll": Bench(
        poll,
        (),
        5,
        "asking again for what hasn't changed, beside a route that answers from memory",
        takes_database=True,
    ),
    "receive": Bench(
        receive,
        ("others",),
        5,
        "bytes in: throughput and memory, beside a naive app, nginx, and servers of tus",
        takes_database=True,
    ),
    "sections": Bench(
        sections, ("run", "seaweedfs"), 30, "how long a person waits for the next section of a form"
    ),
    "sweep": Bench(
        sweep, (), 5, "what the sweep costs beside up to a million rows", needs_redis=False
    ),
    "waiting": Bench(waiting, (), 3, "what requests cost that wait or stream"),
    "decoder": Bench(decoder, (), 10, "what a child costs for each file", needs_redis=False),
}


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    bench = BENCHES[options.bench]
    try:
        # Before anything is measured, and while Ctrl-C still ends it at once.
        environments.ensure(*bench.environments)
        options.redis = redis_server() if bench.needs_redis else ""
        asyncio.run(_run(bench, options))
    except Problem as problem:
        print(f"longshore: {problem}", file=sys.stderr)
    except OSError as error:
        print(f"longshore: {explain(error)}", file=sys.stderr)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    else:
        return 0
    return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="longshore bench")
    commands = parser.add_subparsers(dest="bench", required=True)
    for name, bench in BENCHES.items():
        one = commands.add_parser(name, help=bench.what, description=bench.what)
        one.add_argument("--rounds", type=_count, help=f"(default: {bench.rounds}; --quick: 2)")
        one.add_argument("--quick", action="store_true", help="small and few: does it work at all?")
        one.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
        one.add_argument(
            "--dir",
            type=lambda value: Path(value).absolute(),
            default=state.DEFAULT,
            help="a folder on the volume to measure (default: .longshore in the checkout)",
        )
        if bench.takes_database:
            one.add_argument(
                "--database-url",
                metavar="URL",
                help="an empty database of its own, as DATABASE_URL has it (default: SQLite);"
                " of receive, for its throughput alone",
            )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (2 if options.quick else BENCHES[options.bench].rounds)
    return options


def _count(value: str) -> int:
    if value.isdecimal() and 0 < int(value) <= 1000:  # noqa: PLR2004 - more is a typing error
        return int(value)
    raise argparse.ArgumentTypeError(f"{value} is no number of rounds from 1 to 1000")


async def _run(bench: Bench, options: argparse.Namespace) -> None:
    """Unwind on SIGTERM as on Ctrl-C: every server is stopped, the folder removed."""
    task = asyncio.ensure_future(bench.run(options))
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    finally:
        with suppress(OSError):
            options.dir.rmdir()  # only if it is empty, as when this bench made it


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr] # a real stream here
    sys.exit(main(sys.argv[1:]))
