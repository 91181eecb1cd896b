"""pip's settings, handed to uv, which doesn't read them.

A machine behind a mirror or a proxy of its own says so to pip, in PIP_* variables or pip.conf;
whoever can `pip install` there must be able to run `./longshore up`.
"""

import configparser
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

# What would make a Python started by us another Python than the one it is.
FOREIGN = ("PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "VIRTUAL_ENV")

# uv still reads these, but its newer name would win over what the user set.
OLDER_NAMES = {"UV_INDEX_URL": "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL": "UV_INDEX"}

Settings = dict[str, str]


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """Where pip reads its settings from, the weakest first."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = Path(environ.get("HOME", "/nonexistent"))
    files = [
        *(Path(d) / "pip/pip.conf" for d in _folders(environ.get("XDG_CONFIG_DIRS"), "/etc/xdg")),
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]
    if sys.platform == "darwin":
        files.insert(-1, home / "Library/Application Support/pip/pip.conf")
    return [*files, Path(named)] if named else files


def _folders(value: str | None, default: str) -> list[str]:
    return (value or default).split(os.pathsep)


def read(environ: Mapping[str, str], files: Iterable[Path] | None = None) -> Settings:
    """What pip would go by when it installs: its files, then PIP_* over them."""
    found: Settings = {}
    for path in config_files(environ) if files is None else files:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue  # pip says what is wrong with it, in better words
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {k.replace("_", "-"): v for k, v in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def for_uv(settings: Settings) -> dict[str, str]:
    """The same, as uv's variables."""
    variables = {
        # pip takes the best version of all indexes; uv's own default stops at the first index
        # that knows the name, and an extra index often holds only a few wheels of it.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(filter(_readable, settings.get("find-links", "").split())),
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", "").split()),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "ALL_PROXY": settings.get("proxy", ""),
    }
    return {name: value for name, value in variables.items() if value}


def _readable(link: str) -> bool:
    """Tell whether uv can use it: pip passes over a folder that isn't there, uv stops."""
    return "://" in link or Path(link).exists()


def own_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what belongs to another Python."""
    return {name: value for name, value in environ.items() if name not in FOREIGN}


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment uv is run in: what the user set for uv wins over what pip was told."""
    own = own_environment(environ)
    translated = for_uv(read(environ))
    for older, newer in OLDER_NAMES.items():
        if own.get(older):
            translated.pop(newer, None)
    return {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"} | translated | own
