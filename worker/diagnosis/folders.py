"""The folders a worker needs, and what it can tell of the volume, which it only reads."""

import os
from pathlib import Path

from shared.finding import Finding, ok, warning, wrong
from shared.volume import MARKER, STAGED
from worker.settings import Settings


def check_folders(settings: Settings) -> list[Finding]:
    """The volume is never wrong here: it may come later, and until then uploads are given back."""
    found = [_scratch(settings.scratch_dir), _staging(settings.staging_dir)]
    if settings.health_file:
        found.append(_health(settings.health_file))
    return found


def _scratch(folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"probe-{os.getpid()}"
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return wrong("SCRATCH_DIR", f"{folder} can't be written ({reason}); name another folder")
    return ok("SCRATCH_DIR", f"{folder} can be written")


def _staging(folder: Path) -> Finding:
    name = "STAGING_DIR"
    try:
        marker = (folder / MARKER).read_text("utf-8").strip()
        (folder / STAGED).stat()
    except FileNotFoundError:
        return warning(
            name,
            f"{folder} has no marker ({MARKER}): the api has yet to make it, or the volume isn't"
            " mounted; mount the api's. Until then uploads wait",
        )
    except (OSError, UnicodeDecodeError) as error:
        return warning(name, f"{folder} can't be read ({error}); mount the api's volume")
    return ok(name, f"{folder} is the volume {marker}")


def _health(path: Path) -> Finding:
    folder = path.parent
    target = path if path.exists() else folder
    if not folder.is_dir() or not os.access(target, os.W_OK):
        return wrong("HEALTH_FILE", f"{path} can't be written; its folder has to be there and ours")
    return ok("HEALTH_FILE", f"{path} can be written")
