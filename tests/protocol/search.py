"""Every state of a model that can be reached, nearest first, up to one that breaks a promise."""

import gc
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)
Step = tuple[str, S]
"""What happens, and the state after it."""


@dataclass(frozen=True)
class Walk(Generic[S]):
    """How far a search came."""

    came_from: dict[S, tuple[str, S] | None]
    """Each state that was met, with what led to it first; None for the beginning."""
    broken: str | None
    """The promise that is broken in the last state; None when all hold in every state."""
    way: tuple[str, ...]
    """The steps to that state."""


def search(
    start: S,
    steps: Callable[[S], Iterator[Step[S]]],
    broken: Callable[[S, Sequence[Step[S]]], str | None],
) -> Walk[S]:
    """Walk from `start` by `steps` until `broken` says of a state, given its steps, what is."""
    gc.disable()  # no state refers to itself, and looking for one that does takes a fifth of the time
    try:
        return _search(start, steps, broken)
    finally:
        gc.enable()


def _search(
    start: S,
    steps: Callable[[S], Iterator[Step[S]]],
    broken: Callable[[S, Sequence[Step[S]]], str | None],
) -> Walk[S]:
    came_from: dict[S, tuple[str, S] | None] = {start: None}
    queue = deque(came_from)
    while queue:
        state = queue.popleft()
        following = list(steps(state))
        found = broken(state, following)
        if found:
            return Walk(came_from, found, _way_to(state, came_from))
        for label, after in following:
            if after not in came_from:
                came_from[after] = (label, state)
                queue.append(after)
    return Walk(came_from, None, ())


def _way_to(state: S, came_from: dict[S, tuple[str, S] | None]) -> tuple[str, ...]:
    way: list[str] = []
    step = came_from[state]
    while step:
        way.append(step[0])
        step = came_from[step[1]]
    return tuple(reversed(way))
