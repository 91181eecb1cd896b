"""`./longshore up`: the whole stack on one machine, kept running until it is told to stop."""

import argparse
import asyncio
import os
import signal
import time
import webbrowser
from contextlib import suppress
from pathlib import Path

from dev import ports, redis_server, seaweedfs
from dev.child import DidNotStart
from dev.say import Problem, say
from dev.services import BUCKET
from dev.stack import Stack
from dev.state import DEFAULT, StateDir, add_option

KILLED_RUN_ENDS_WITHIN = 10.0
NEWS_EVERY = 0.1
LONGEST_LINE = 500  # of a log shown in a failure: enough for a reason, too little for a traceback


def up(arguments: list[str]) -> int:
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="longshore up")
    parser.add_argument("--port", type=_port, help="where the api listens (default: 8000)")
    parser.add_argument("--open", action="store_true", help="show the form in a browser")
    add_option(parser)
    options = parser.parse_args(arguments)
    state, reserved = StateDir(options.state_dir), ports.Reserved()
    try:
        patience = KILLED_RUN_ENDS_WITHIN if state.was_killed else 0
        kept = ports.still_ours(state.read("ports.json"), patience)
        chosen = ports.choose(kept, options.port, reserved.take)
        ports.check(chosen, patience)
        state.write("ports.json", chosen)
        state.keep_database(os.environ.get("DATABASE_URL"))
        stack = Stack(state, chosen, redis_server.ensure(), seaweedfs.ensure())
        asyncio.run(_run(stack, began, state.path, open_browser=options.open))
    finally:
        state.close()
        reserved.close()
    return 0


def _port(value: str) -> int:
    if value.isdecimal() and 0 < int(value) < 1 << 16:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value} is no port number")


async def _run(stack: Stack, began: float, state_dir: Path, *, open_browser: bool) -> None:
    told_to_stop = _listen_for_signals(stack)
    stopping = asyncio.create_task(told_to_stop.wait())
    news = asyncio.create_task(_show_news(stack))
    starting = asyncio.create_task(stack.start())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            _announce(stack, time.monotonic() - began, state_dir, await stack.missing())
            if open_browser:
                webbrowser.open(stack.services.url)
            supervision = {c.supervision for c in stack.children if c.supervision}
            done, _ = await asyncio.wait(
                {stopping, news, *supervision}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        say("stopping ...")
    except DidNotStart as error:
        for line in stack.logs[error.name].last_lines(10):
            say(f"  {line[:LONGEST_LINE]}")
        raise Problem(f"{error} ({stack.logs[error.name].path})") from None
    finally:
        starting.cancel()
        await stack.stop()
        news.cancel()
        stack.show_news()
    say("stopped")


def _listen_for_signals(stack: Stack) -> asyncio.Event:
    told_to_stop = asyncio.Event()

    def stop() -> None:
        told_to_stop.set()

    def interrupt() -> None:
        if told_to_stop.is_set():  # a second Ctrl-C: at once
            stack.kill()
            os._exit(130)
        stop()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        loop.add_signal_handler(signal.SIGHUP, stop)
    return told_to_stop


async def _show_news(stack: Stack) -> None:
    while True:
        stack.show_news()
        await asyncio.sleep(NEWS_EVERY)


def _announce(stack: Stack, seconds: float, state_dir: Path, missing: list[str]) -> None:
    services = stack.services
    option = "" if state_dir == DEFAULT else f" --state-dir {_near(state_dir)}"
    say(f"Form      {services.url}/")
    say(f"API docs  {services.url}/docs")
    say(f"Bucket    {services.s3_url}/{BUCKET}  (./longshore objects{option})")
    say(f"Logs      {_near(state_dir / 'logs')}/")
    if missing:
        say(f"takes no uploads yet: {', '.join(missing)}; what is staged is stored all the same")
        say(f"started in {seconds:.1f} s; Ctrl-C stops")
    else:
        say(f"ready in {seconds:.1f} s; Ctrl-C stops")


def _near(path: Path) -> Path:
    with suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path
