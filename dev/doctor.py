"""`./longshore doctor`: what this machine has, and whether api and worker find what they need."""

import argparse
import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from dev import environments, machine, processes, state
from dev.env_file import read_settings
from dev.say import Problem, say
from dev.services import Services, clean

SERVICES = ("api", "worker")
Environments = dict[str, dict[str, str]]


def doctor(arguments: list[str]) -> int:
    """1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="longshore doctor")
    parser.add_argument(
        "--env-file", type=Path, help="settings of the services, in place of the stack's"
    )
    state.add_option(parser)
    options = parser.parse_args(arguments)
    kept = state.read_file(options.state_dir, "ports.json")
    running = bool(state.read_stack(options.state_dir))
    own = machine.answering(kept) if running else set()
    wrong = False
    say("this machine")
    for level, name, text in machine.look(options.state_dir, kept, own):
        say(f"  {level:<8} {name:<23} {text}")
        wrong |= level == "wrong"
    if options.env_file:
        given = {service: read_settings(options.env_file, service) for service in SERVICES}
        title, offline = f"with the settings of {options.env_file}", False
    else:
        given = _of_the_stack(options.state_dir)
        offline = not running
        title = "of the running stack" if running else "of the last stack, which isn't running"
    if not given:
        say(f"no stack has run on {options.state_dir} yet; ./longshore up starts one")
        return int(wrong)
    environments.ensure("run")
    for service, settings in given.items():
        say(f"{service}, {title}")
        wrong |= _check(service, settings, offline=offline)
    if offline:
        say("not asked, as it isn't running: Redis, the object store, the internal listener")
    return int(wrong)


def _of_the_stack(folder: Path) -> Environments:
    """What the services are told by `up`; nothing when it never came that far."""
    ports, secrets = (state.read_file(folder, name) for name in ("ports.json", "secrets.json"))
    if not (ports and "s3_api" in secrets):
        return {}
    services = Services(folder, ports, secrets)
    return {"api": services.api(), "worker": services.worker()}


def _check(service: str, settings: Mapping[str, str], *, offline: bool) -> bool:
    """Run the service's own check and show its lines; whether something is wrong."""
    command = [environments.python("run"), "-m", f"{service}.check"]
    env = {**clean(os.environ), **settings}
    code, output = asyncio.run(
        processes.run_once([*command, *(["--offline"] if offline else [])], env)
    )
    for line in output.splitlines():
        say(f"  {line}")
    if code not in {0, 1}:
        raise Problem(f"the check of the {service} ended with {processes.how_it_ended(code)}")
    return bool(code)
