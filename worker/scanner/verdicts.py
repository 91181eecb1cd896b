"""What clamd's answer to a stream means. Only its exact OK is clean."""

import re
from enum import Enum, auto
from typing import NamedTuple

from worker.scanner.clamd import Said

TOO_LONG = "INSTREAM size limit exceeded. ERROR"
_FOUND = re.compile(r"stream: (\S.*) FOUND")
_NOT_LOOKED_AT = ("Heuristics.Encrypted.", "Heuristics.Limits.Exceeded")
"""Names of findings that say what clamd couldn't look at: behind a password, or beyond a limit."""
LONGEST_NAME = 200


class Meaning(Enum):
    CLEAN = auto()
    INFECTED = auto()
    UNSCANNABLE = auto()
    """It says itself that it hasn't looked at all of it."""
    TOO_LONG = auto()
    """The stream is longer than it takes any: nothing was looked at."""
    NONSENSE = auto()
    """No verdict: an error of its own, or the answer of something else."""


class Answer(NamedTuple):
    meaning: Meaning
    signature: str | None = None
    """The name of what was found, as clamd says it."""


def read(said: Said) -> Answer:
    if said.text == "stream: OK":
        return Answer(Meaning.CLEAN if said.sent_all else Meaning.NONSENSE)
    if found := _FOUND.fullmatch(said.text):
        name = found[1][:LONGEST_NAME]
        unseen = name.startswith(_NOT_LOOKED_AT)
        return Answer(Meaning.UNSCANNABLE if unseen else Meaning.INFECTED, name)
    return Answer(Meaning.TOO_LONG if said.text == TOO_LONG else Meaning.NONSENSE)
