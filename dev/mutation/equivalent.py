"""Mutants that no test can notice: changed, the product still does the same.

They are listed by the change itself, with the reason; each was judged by a person.
"""

import tomllib
from pathlib import Path

from dev.say import Problem

Name = tuple[str, str, str, str]


def read(path: Path) -> dict[Name, str]:
    """The reasons by name of the mutant; empty without a file. Raises `Problem`."""
    try:
        listed = tomllib.loads(path.read_text("utf-8")).get("mutant", [])
        return {
            (each["file"], each["within"], each["was"], each["becomes"]): each["reason"]
            for each in listed
        }
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise Problem(f"{path}: {error}") from None
