"""How slow a body may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Nothing for `idle_seconds` is too slow, and so are fewer than `min_bytes_per_second` over
    `window_seconds`. Only time in which we wait for the client counts."""

    idle_seconds: float
    min_bytes_per_second: float = 0
    window_seconds: float = 60
