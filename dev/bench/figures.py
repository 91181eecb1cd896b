"""Figures into a table: medians, and how far the rounds lie apart."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from dev.say import say


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them don't exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def with_spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, then the lowest and the highest round."""
    low, mid, high = (f"{v:.{digits}f}" for v in (min(values), median(values), max(values)))
    return f"{mid} ({low}–{high})"


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Round by round, so that what slowed a whole round down is in neither."""
    return [mine / other for mine, other in zip(of, to, strict=True)]


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    say(f"\n{title}\n")
    for row in [columns, *rows]:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        say("  " + "   ".join([first, *others]))


def show_markdown(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As it goes into the documents."""
    say(f"\n{title}\n")
    for cells in (columns, ["---"] * len(columns), *rows):
        say(f"| {' | '.join(cells)} |")


def show_machine(machine: dict[str, str]) -> None:
    say("\nMachine: " + " · ".join(f"{name} {value}" for name, value in machine.items()))


def write(path: Path | None, raw: dict[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(raw, indent=2) + "\n", "utf-8")
        say(f"\nraw figures: {path}")
