"""`./longshore verify`: whether all that the records name is on the volume and in the bucket."""

import argparse
import subprocess

from dev import CHECKOUT, environments, state
from dev.say import Problem
from dev.services import Services


def verify(arguments: list[str]) -> int:
    """1 when anything is missing or has other bytes."""
    parser = argparse.ArgumentParser(prog="longshore verify")
    state.add_option(parser)
    folder = parser.parse_args(arguments).state_dir
    if not state.read_stack(folder):
        raise Problem(f"no stack is running on {folder}; start one with ./longshore up")
    environments.ensure("run")
    ports, secrets = (state.read_file(folder, name) for name in ("ports.json", "secrets.json"))
    services = Services(folder, ports, secrets)
    python = environments.python("run")
    with (
        subprocess.Popen(
            [python, "-m", "api.inventory"],
            cwd=CHECKOUT,
            env=services.api(),
            stdout=subprocess.PIPE,
        ) as inventory,
        subprocess.Popen(
            [python, "-m", "worker.verify"],
            cwd=CHECKOUT,
            env=services.worker(),
            stdin=inventory.stdout,
        ) as verification,
    ):
        if inventory.stdout:  # so that it notices when nobody reads any more
            inventory.stdout.close()
        return int(bool(verification.wait() or inventory.wait()))
