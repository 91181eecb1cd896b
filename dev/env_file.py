"""Read the settings of one service from a file of NAME=value lines."""

import shlex
from pathlib import Path

from dev.say import Problem

COMPOSES_OWN = "POSTGRES_PASSWORD"
IN_CONTAINERS = (
    "is what Compose reads, and its addresses are those of the containers; ask in there:"
    " docker compose exec api python -m api.check;"
    " docker compose exec worker python -m worker.check"
)


def read_settings(path: Path, service: str) -> dict[str, str]:
    """The service's settings. As both have a key of the object store and the internal secret, a
    file for both may name them as `.env.example` does: `S3_API_…`, `S3_WORKER_…`."""
    found = dict(_assignments(path))
    if COMPOSES_OWN in found and "DATABASE_URL" not in found:
        raise Problem(f"{path} {IN_CONTAINERS}")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        own = found.get(f"S3_{service.upper()}_{name}")
        if own is not None:
            found[f"S3_{name}"] = own
    if "INTERNAL_SECRET" in found:
        found.setdefault("INTERNAL_SECRETS", found["INTERNAL_SECRET"])
    return found


def _assignments(path: Path) -> list[tuple[str, str]]:
    pairs = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise Problem(f"{path}, line {number}: is no NAME=value")
        pairs.append((name.strip(), _unquoted(value.strip(), path, number)))
    return pairs


def _unquoted(value: str, path: Path, number: int) -> str:
    if value[:1] not in {"'", '"'}:
        return value.partition(" #")[0].rstrip()
    try:
        return "".join(shlex.split(value, comments=True))
    except ValueError:
        raise Problem(f"{path}, line {number}: a quote isn't closed") from None
