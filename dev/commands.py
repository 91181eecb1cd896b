"""The subcommands of `./longshore`, and what they say when something is amiss."""

import signal
import sys
from types import FrameType
from typing import NoReturn

from dev import tools
from dev.doctor import doctor
from dev.say import Problem, explain, say
from dev.up import up
from dev.verify import verify

HELP = """\
./longshore <command>

  up       start everything on this machine: Redis, an S3 endpoint, the api and the worker
             [--port 8000] [--state-dir .longshore] [--open]
  doctor   what this machine has, and whether api and worker find what they need
             [--state-dir .longshore] [--env-file settings.env]
  test     run the tests [pytest's arguments]
  lint     ruff, mypy and the layer rules
  bench    measure [its own arguments]
  soak     many uploads while everything is killed and frozen; exit 1 if one was lost or is stuck
             [--minutes 20] [--uploads N] [--kills N] [--database-url URL] [--seed N]
             [--report report.json]
  mutate   small changes of the product, and whether a test notices each
             [--seed N] [--sample 100] [--modules PATTERN …] [--tests 40] [--json FILE]
  files    count what the worker makes of real files; exit 1 if one came to no verdict
             FOLDER …
  fuzz     mutated files through the decoder; exit 1 if one ended in no known way
             [--minutes 20] [--seed N] [--keep FOLDER] [FOLDER …]
  forms    whether the form definitions in a folder can be used, and all that is wrong with them
             [folder, default forms]
  objects  list what is in the local bucket [--state-dir .longshore]
  verify   whether all that the records speak of is there, byte for byte; exit 1 if something isn't
             [--state-dir .longshore]
  lock     compile requirements/*.txt from pyproject.toml [uv's arguments, such as --upgrade]
  help     this text

Each command brings its own environment; nothing has to be installed first."""

COMMANDS = {
    "up": up,
    "doctor": doctor,
    "test": tools.test,
    "lint": tools.lint,
    "bench": tools.bench,
    "soak": tools.soak,
    "mutate": tools.mutate,
    "files": tools.files,
    "fuzz": tools.fuzz,
    "forms": tools.forms,
    "objects": tools.objects,
    "verify": verify,
    "lock": tools.lock,
}


def main(arguments: list[str]) -> int:
    # A line is seen when it is written, also through a pipe; and never fails for its arrows.
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr] # a real stream here
    command, *rest = arguments or ["help"]
    if command in {"help", "-h", "--help"}:
        say(HELP)
        return 0
    if command not in COMMANDS:
        print(f"longshore: no command {command!r}; try ./longshore help", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup, SIGHUP stays ignored
            signal.signal(number, _leave)
    try:
        return COMMANDS[command](rest)
    except Problem as problem:
        print(f"longshore: {problem}", file=sys.stderr)
    except OSError as error:
        print(f"longshore: {explain(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    """Unwind on SIGTERM as on Ctrl-C, so that a set-up under way takes its own children along."""
    sys.exit(128 + number)
