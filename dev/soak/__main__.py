"""`./longshore soak`: options, the run, and an exit code that says whether the promise was kept."""

import argparse
import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from dev import environments
from dev.faulty_link import FaultyLink
from dev.say import Problem, explain, say
from dev.soak.ledger import Ledger
from dev.soak.people import People
from dev.soak.plan import KILLS_A_MINUTE, SETTINGS, UPLOADS_A_MINUTE, Plan
from dev.soak.report import report, show, write
from dev.soak.settle import Patience, settle
from dev.soak.stack import soaked_stack
from dev.soak.trouble import Trouble

POSTGRES_PORT = 5432
NEWS_EVERY = 30.0


def main(arguments: list[str]) -> int:
    plan = _parse(arguments)
    try:
        environments.ensure("run", "seaweedfs")
        return asyncio.run(_run(plan))
    except Problem as problem:
        print(f"longshore: {problem}", file=sys.stderr)
    except OSError as error:
        print(f"longshore: {explain(error)}", file=sys.stderr)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 1


def _parse(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="longshore soak", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=20, help="how long (default: 20)")
    parser.add_argument(
        "--uploads", type=int, help=f"to acknowledge (default: {UPLOADS_A_MINUTE} a minute)"
    )
    parser.add_argument(
        "--kills", type=int, help=f"by SIGKILL (default: {KILLS_A_MINUTE} a minute)"
    )
    parser.add_argument("--database-url", help="SQLAlchemy URL (default: SQLite in a folder)")
    parser.add_argument("--seed", type=int, help="the same files, steps, victims and moments again")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write it as JSON, too")
    options = parser.parse_args(arguments)
    if options.minutes <= 0:
        parser.error("--minutes: more than 0")
    uploads = (
        int(options.minutes * UPLOADS_A_MINUTE) if options.uploads is None else options.uploads
    )
    kills = int(options.minutes * KILLS_A_MINUTE) if options.kills is None else options.kills
    if uploads < 1 or kills < 0:
        parser.error("--uploads: at least 1; --kills: at least 0")
    return Plan(
        minutes=options.minutes,
        uploads=uploads,
        kills=kills,
        seed=random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed,
        database_url=options.database_url,
        report=options.report.absolute() if options.report else None,
    )


async def _run(plan: Plan) -> int:
    task = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel if task else sys.exit)
    began = time.monotonic()
    say(f"{plan.uploads} uploads and {plan.kills} kills in {plan.minutes:g} min; seed {plan.seed}")
    ledger = Ledger()
    async with (
        _database(plan) as (settings, link),
        soaked_stack(SETTINGS | settings) as stack,
    ):
        trouble = Trouble(plan, stack, random.Random(plan.seed + 1), link)  # noqa: S311 - no secret
        people = People(plan, stack.info["url"], random.Random(plan.seed), ledger)  # noqa: S311 - no secret
        news = asyncio.create_task(_tell(ledger, trouble))
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(people.come())
                both.create_task(trouble.make())
        finally:
            news.cancel()
        say("waiting until everything is final ...")
        verdict = await settle(ledger, stack.info, Patience(ageing=True))
        stack.keep = verdict.broken
        told = report(plan, ledger, trouble, verdict, time.monotonic() - began)
    show(told)
    write(told, plan)
    return 1 if verdict.broken else 0


@asynccontextmanager
async def _database(plan: Plan) -> AsyncIterator[tuple[dict[str, str], FaultyLink | None]]:
    """The setting that names the database, through a link of ours where it is on a network."""
    if not plan.database_url or plan.database_url.startswith("sqlite"):
        yield ({"DATABASE_URL": plan.database_url} if plan.database_url else {}), None
        return
    parts = urlsplit(plan.database_url)
    link = FaultyLink(parts.port or POSTGRES_PORT, parts.hostname or "127.0.0.1")
    async with link.open():
        who = parts.netloc.rpartition("@")[0]
        netloc = f"{who}@127.0.0.1:{link.port}" if who else f"127.0.0.1:{link.port}"
        yield {"DATABASE_URL": urlunsplit(parts._replace(netloc=netloc))}, link


async def _tell(ledger: Ledger, trouble: Trouble) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(NEWS_EVERY)
        say(
            f"{time.monotonic() - began:5.0f} s: {len(ledger.entries)} acknowledged,"
            f" {trouble.kills.total()} kills, {trouble.faults.total()} other faults"
        )


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr] # a real stream here
    sys.exit(main(sys.argv[1:]))
