"""What a check found: a setting or a part, whether it will do, and what to do if not."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import structlog

log = structlog.get_logger()


class Level(StrEnum):
    """`wrong` doesn't work as it is; `warning` works, and somebody should know; `note` can't be
    known from here."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `name` is the setting to change, or a part that no setting is about. `text` says
    what is and, after a semicolon, what to do; it holds no secret."""

    level: Level
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {one_line(self.text)}"


class StartError(Exception):
    """The service can't start: the findings say why."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(map(str, self.findings)))


def ok(name: str, text: str) -> Finding:
    return Finding(Level.OK, name, text)


def note(name: str, text: str) -> Finding:
    return Finding(Level.NOTE, name, text)


def warning(name: str, text: str) -> Finding:
    return Finding(Level.WARNING, name, text)


def wrong(name: str, text: str) -> Finding:
    return Finding(Level.WRONG, name, text)


def wrongs(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level is Level.WRONG]


def refuse_or_tell(findings: Iterable[Finding]) -> None:
    """Raise `StartError` for what is wrong; log what is a warning."""
    found = list(findings)
    if wrongs(found):
        raise StartError(wrongs(found))
    for each in found:
        if each.level is Level.WARNING:
            log.warning("start_check", setting=each.name, reason=each.text)


def refuse(service: str, findings: Iterable[Finding]) -> int:
    """Say on stderr why the service doesn't start, in a line each; the exit status."""
    for finding in findings:
        sys.stderr.write(f"{service}: {finding}\n")
    return 1


def show(findings: Iterable[Finding]) -> int:
    """Print a table of all that was checked; the exit status, 1 when anything is wrong."""
    found = list(findings)
    for each in found:
        sys.stdout.write(f"{each.level:<8} {each.name:<23} {one_line(each.text)}\n")
    return 1 if wrongs(found) else 0


def one_line(text: str) -> str:
    return " ".join(text.split())
