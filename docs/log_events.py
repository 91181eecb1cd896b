"""What api and worker log, found in the code: each event with its levels and what it comes with.

`docs/log_meanings.py` says what they mean.
"""  # noqa: INP001 - a folder of documents, not a package

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}
LEVELS |= {"exception": "error"}
WATCHED = ("store", "scanner")
"""Whose names `Watch._event` puts before its events."""


@dataclass
class Event:
    """An event of one service's log."""

    levels: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


class UnreadableEventError(Exception):
    """The event of a line that is logged isn't written out in the code, so that nobody finds it."""


@cache
def events_of(*folders: str) -> dict[str, Event]:
    """All that the code in these folders logs, by name."""
    found: dict[str, Event] = defaultdict(Event)
    for folder in folders:
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            for names, levels, keys in _calls(path):
                for name in names:
                    found[name].levels |= levels
                    found[name].keys |= keys
    return dict(sorted(found.items()))


def _calls(path: Path) -> Iterator[tuple[set[str], set[str], set[str]]]:
    """Names, levels and keys of each call that logs."""
    tree = ast.parse(path.read_text("utf-8"))
    assigned = {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (levels := _levels(node.func, assigned)):
            names = _names(node.args[0], assigned)
            if not names:
                raise UnreadableEventError(f"{path}:{node.lineno}")
            yield names, levels, _keys(node)


def _levels(called: ast.expr, assigned: dict[str, ast.expr]) -> set[str]:
    """Of `log.info`, or of a name that stands for one of two such functions."""
    match called:
        case ast.Attribute(value=ast.Name(id="log"), attr=attr) if attr in LEVELS:
            return {LEVELS[attr]}
        case ast.IfExp(body=one, orelse=other):
            return _levels(one, assigned) | _levels(other, assigned)
        case ast.Name(id=name) if isinstance(assigned.get(name), ast.IfExp):
            return _levels(assigned[name], {})
    return set()


def _names(argument: ast.expr, assigned: dict[str, ast.expr]) -> set[str]:
    match argument:
        case ast.Constant(value=str(name)):
            return {name}
        case ast.IfExp(body=one, orelse=other):
            return _names(one, assigned) | _names(other, assigned)
        case ast.Call(func=ast.Attribute(attr="_event"), args=[ast.Constant(value=str(what))]):
            return {f"{name}_{what}" for name in WATCHED}
        case ast.Name(id=name) if name in assigned:
            return _names(assigned[name], {})
    return set()


def _keys(call: ast.Call) -> set[str]:
    """Those that are written out; `exc_info` is the traceback, which has a key of its own."""
    keys = {"exception" if each.arg == "exc_info" else each.arg for each in call.keywords}
    keys |= {
        str(key.value)
        for each in call.keywords
        if isinstance(each.value, ast.Dict) and each.arg is None
        for key in each.value.keys
        if isinstance(key, ast.Constant)
    }
    if isinstance(call.func, ast.Attribute) and call.func.attr == "exception":
        keys.add("exception")
    return {key for key in keys if key is not None}
