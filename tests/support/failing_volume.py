"""A volume whose calls fail at one step: the shim stands where the staging module meets the
operating system."""

import os
from pathlib import Path
from typing import Any

import pytest


def fail(patch: pytest.MonkeyPatch, step: str, number: int) -> list[str]:
    """From now on `step` fails with that errno. What was tried is added to the list, in order."""
    tried: list[str] = []
    real = {name: getattr(os, name) for name in ("open", "write", "fsync", "close")}
    real_rename = Path.rename

    def called(name: str, fd: int | None) -> None:
        folder = fd is not None and Path(f"/proc/self/fd/{fd}").is_dir()
        named = f"{name} folder" if folder else name
        tried.append(named)
        if named == step:
            if name == "close":
                real["close"](fd)  # the descriptor is gone even when close reports an error
            raise OSError(number, os.strerror(number))

    def shim(name: str) -> Any:
        def call(fd: int, *arguments: Any) -> Any:
            called(name, fd)
            return real[name](fd, *arguments)

        return call

    def shim_open(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        tried.append("open folder" if flags & os.O_DIRECTORY else "open")
        if tried[-1] == step:
            raise OSError(number, os.strerror(number))
        return int(real["open"](path, flags, *arguments, **named))

    def shim_rename(path: Path, target: Path) -> Path:
        called("rename", None)
        return real_rename(path, target)

    for name in ("write", "fsync", "close"):
        patch.setattr(os, name, shim(name))
    patch.setattr(os, "open", shim_open)
    patch.setattr(Path, "rename", shim_rename)
    return tried
