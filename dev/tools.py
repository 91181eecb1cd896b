"""The commands that only run a tool in an environment of its own."""

import argparse
import os
import subprocess
import time
from pathlib import Path
from typing import NoReturn

from dev import CHECKOUT, environments, pip_settings, state
from dev.say import Problem, say

CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("lint-imports",),
)

COMPILE = ("--universal", "--python-version", "3.11", "--generate-hashes")
QUIETLY = ("--no-header", "--no-annotate", "-q")
LOCKS = {
    "dev": (),
    "api": ("-c", "requirements/dev.txt"),
    "worker": ("-c", "requirements/dev.txt"),
    "coverage": (),
    "others": (),
    "kubernetes": (),
    "seaweedfs": ("--no-deps",),  # only the binary is wanted
    "redis": ("--no-deps",),  # as above
}


# Files whose tests share a stack stay together (tests/support/chains.py); and all keep their order,
# in which the slow ones come first.
IN_ORDER = ("--dist=loadfile", "--no-loadscope-reorder")
MOST_AT_ONCE = 8
"""Files whose tests run side by side; each may have two stacks, which take a gibibyte together."""


def test(arguments: list[str]) -> int:
    environments.ensure("dev")
    # Whatever the shell says: the suite starts hundreds of Pythons, and each would compile it all.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    _become("dev", ["-m", "pytest", *(arguments or _whole_suite())])


def _whole_suite() -> list[str]:
    """Two for each processor: for half of their time tests wait for processes."""
    at_once = min(2 * len(os.sched_getaffinity(0)), MOST_AT_ONCE)
    return [f"--numprocesses={at_once}", *IN_ORDER]


def bench(arguments: list[str]) -> int:
    environments.ensure("dev")
    _become("dev", ["-m", "dev.bench", *arguments])


def soak(arguments: list[str]) -> int:
    environments.ensure("dev")
    _become("dev", ["-m", "dev.soak", *arguments])


def mutate(arguments: list[str]) -> int:
    environments.ensure("dev")
    _become("dev", ["-m", "dev.mutation", *arguments])


def files(arguments: list[str]) -> int:
    environments.ensure("dev")
    _become("dev", ["-m", "tests.measure.files", *arguments])


def fuzz(arguments: list[str]) -> int:
    environments.ensure("dev")
    _become("dev", ["-m", "tests.measure.fuzz", *arguments])


def forms(arguments: list[str]) -> int:
    """A folder is meant from where the command was given, and the checkout is where it runs."""
    environments.ensure("run")
    told = [each if each.startswith("-") else str(Path(each).absolute()) for each in arguments]
    _become("run", ["-m", "shared.check_forms", *told])


def objects(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="longshore objects")
    state.add_option(parser)
    state_dir = parser.parse_args(arguments).state_dir
    if not state.read_stack(state_dir):
        raise Problem(f"no stack is running on {state_dir}; start one with ./longshore up")
    environments.ensure("run")
    _become("run", ["-m", "dev.list_objects", str(state.stack_file(state_dir))])


def _become(name: str, arguments: list[str]) -> NoReturn:
    """Replace this process, so that signals and the exit code are the tool's own."""
    python = environments.python(name)
    os.chdir(CHECKOUT)
    environment = pip_settings.own_environment(os.environ)
    os.execve(python, [python, *arguments], environment)  # noqa: S606 - no shell is the point


def lint(arguments: list[str]) -> int:
    if arguments:
        raise Problem("lint takes no arguments")
    environments.ensure("dev")
    folder = environments.ENVIRONMENTS["dev"].folder / "bin"
    failed = 0
    for tool, *options in CHECKS:
        began = time.monotonic()
        done = subprocess.run(
            [folder / tool, *options],
            cwd=CHECKOUT,
            env=pip_settings.own_environment(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        verdict = "failed" if done.returncode else "ok"
        if done.returncode:
            failed += 1
            say(done.stdout.rstrip())
        say(f"{' '.join([tool, *options]):20} {verdict:6} {time.monotonic() - began:5.1f} s")
    return 1 if failed else 0


def lock(arguments: list[str]) -> int:
    """Compile the locks against the default index alone, so that they hold the hashes of every
    platform's wheels; an extra index often has only those of one."""
    environments.ensure("uv")
    env = pip_settings.uv_environment(os.environ)
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        env.pop(name, None)
    for group, options in LOCKS.items():
        target = f"requirements/{group}.txt"
        command = [str(environments.UV), "pip", "compile", *COMPILE, *QUIETLY, "--group", group]
        done = subprocess.run(
            [*command, *options, *arguments, "-o", target], cwd=CHECKOUT, env=env, check=False
        )
        if done.returncode:
            raise Problem(f"{target} was not compiled")
        say(target)
    return 0
