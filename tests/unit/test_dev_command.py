import os
import subprocess
import sys
from pathlib import Path

from dev import CHECKOUT


def longshore(*arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", CHECKOUT / "longshore", *arguments],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def shim(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_an_unknown_command_is_one_line_and_exit_code_2() -> None:
    done = longshore("swim", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    assert done.returncode == 2
    assert done.stderr == "longshore: no command 'swim'; try ./longshore help\n"


def test_the_first_usual_name_that_really_runs_a_new_enough_python_is_taken(
    tmp_path: Path,
) -> None:
    shim(tmp_path, "python3", "exit 127")  # a version manager's, with nothing behind it
    shim(tmp_path, "python3.13", "exit 1")  # too old, whatever it is called
    shim(tmp_path, "python3.11", f'exec {sys.executable} "$@"')

    done = longshore("help", path=str(tmp_path))

    assert done.returncode == 0
    assert "./longshore <command>" in done.stdout


def test_without_a_usable_python_one_line_says_so(tmp_path: Path) -> None:
    shim(tmp_path, "python3", "exit 127")

    done = longshore("up", path=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no Python 3.11 or newer" in done.stderr
