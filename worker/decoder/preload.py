"""Load everything a child may need: once it is confined it can read no library any more."""

import encodings
import importlib
import pkgutil
import time
from contextlib import suppress
from types import ModuleType
from typing import Any

import puremagic
import pyvips
from pyvips.voperation import Introspect

import worker.formats

_ALSO_USED = ("_pi_heif", "pypdfium2")
"""By `worker.formats` for some files only."""
_ONLY_ON_WINDOWS = ("mbcs", "oem")


def preload() -> None:
    """Touches no file but libraries' own, and starts no thread."""
    _import_all(encodings)  # text inside of files comes in any of them
    _import_all(worker.formats)
    for name in _ALSO_USED:
        importlib.import_module(name)
    _ask_about_operations()
    puremagic.magic_string(b"%PDF-1.7")
    time.localtime()  # reads the machine's zone


def _import_all(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name.rpartition(".")[2] not in _ONLY_ON_WINDOWS:
            importlib.import_module(module.name)


def _ask_about_operations() -> None:
    """Else pyvips would ask libvips about each of them at its first use."""

    def ask(kind: Any, *_: Any) -> Any:
        with suppress(pyvips.Error):  # of a family of operations, not of one
            Introspect.get(pyvips.nickname_find(kind))
        pyvips.type_map(kind, ask)
        return pyvips.ffi.NULL

    pyvips.type_map(pyvips.type_from_name("VipsOperation"), ask)
