"""However the bytes of a resumable upload come, what was acknowledged of them is there; without any
one rule it isn't."""

import pytest

from tests.protocol.resumable_model import Bounds, Rules, explore

WITHOUT = {
    "own_segment": ("was acknowledged", Bounds(2)),
    "tail_is_cut": ("was acknowledged", Bounds(3)),
    "fsynced_first": ("was acknowledged", Bounds(1, crashes=1)),
    "moves_from_where_it_stands": ("was acknowledged", Bounds(2)),
    "moves_for_the_last_writer": ("an older writer", Bounds(2)),
    "orphan_is_condemned_first": ("was acknowledged", Bounds(1)),
    "joined_when_complete": ("was acknowledged", Bounds(1)),
    "status_is_checked_at_the_end": ("it was removed", Bounds(1)),
    "segments_are_condemned": ("orphaned segments", Bounds(1)),
    "submit_waits_for_the_whole": ("it expired", Bounds(1)),
    "submit_ends_the_rest": ("nobody can end it", Bounds(1)),
}
"""What breaks without the rule, and how far one has to look to see it."""


def test_no_state_within_reach_breaks_a_promise() -> None:
    walk = explore(Rules(), Bounds(2, crashes=1))
    assert walk.broken is None, walk.way
    assert len(walk.came_from) > 3_000


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [Bounds(3), Bounds(3, crashes=1)], ids=str)
def test_nor_does_any_further_away(bounds: Bounds) -> None:
    walk = explore(Rules(), bounds)
    assert walk.broken is None, walk.way


@pytest.mark.parametrize("rule", Rules._fields)
def test_without_any_one_rule_a_promise_is_broken(rule: str) -> None:
    promise, bounds = WITHOUT[rule]
    without = {rule: False}
    if rule == "moves_from_where_it_stands":  # one of the two is enough for the bytes
        without["moves_for_the_last_writer"] = False
    walk = explore(Rules()._replace(**without), bounds, promise)
    assert walk.broken, f"the protocol doesn't need {rule}"
