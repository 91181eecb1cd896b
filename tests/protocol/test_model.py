"""Every state that the protocol can reach keeps its promises; without any one rule, some don't."""

import pytest

from shared.status import TRANSITIONS, UploadStatus
from tests.protocol.model import Bounds, Rules, explore

NEAR = Bounds(1, retries=1, purges=1)
FURTHER = [
    Bounds(2),
    Bounds(1, crashes=2),
]
WITHOUT = {
    "generation_in_key": ("its object is gone", Bounds(2)),
    "repeated_outcome_by_applied": ("refused what it had stored", Bounds(1)),
    "outcome_needs_processing": ("its object is gone", Bounds(1)),
    "stored_is_not_replaced_at_acknowledgement": ("never stored", Bounds(1)),
    "pending_is_not_replaced_at_acknowledgement": ("never stored", Bounds(1)),
    "only_older_is_replaced": ("replaced by an older one", Bounds(1)),
    "withheld_replaces_nothing": ("never released", Bounds(1, flags=1)),
    "release_replaces": ("two are stored in one slot", Bounds(1, flags=1)),
    "orphan_is_condemned_first": ("its file is gone", Bounds(1)),
    "unknown_commit_keeps_file": ("its file is gone", Bounds(1)),
    "bytes_are_condemned_first": ("that were promised are gone", Bounds(1)),
    "ended_generation_is_doomed": ("orphaned objects", Bounds(1)),
    "cleaning_waits": ("orphaned objects", Bounds(1, crashes=1)),
    "attempt_is_given_back_once": ("that was not counted", Bounds(2)),
    "retry_forgets_lost_leases": ("that was not counted", Bounds(2, retries=1)),
    "reused_object_is_spared": ("its file is gone", Bounds(1, reuses=1)),
    "reused_is_checked_at_the_commit": ("its file is gone", Bounds(1, reuses=1)),
    "form_is_checked_at_the_commit": ("in a purged form", Bounds(1, purges=1)),
}
"""What breaks without the rule, and how far one has to look to see it."""


def test_no_state_within_reach_breaks_a_promise() -> None:
    walk, transitions = explore(Rules(), NEAR)
    assert walk.broken is None, walk.way
    assert len(walk.came_from) > 50_000
    assert _code() - transitions == {("processing", "staged")}, "needs two generations"
    assert transitions - _code() == {("none", "staged")}


def test_nor_does_one_with_a_file_that_is_kept_and_flagged() -> None:
    walk, _ = explore(Rules(), Bounds(1, flags=2))
    assert walk.broken is None, walk.way


def test_nor_does_one_in_which_a_stored_file_is_used_again() -> None:
    walk, _ = explore(Rules(), Bounds(1, reuses=1, retries=1))
    assert walk.broken is None, walk.way


@pytest.mark.slow
@pytest.mark.parametrize("bounds", FURTHER, ids=str)
def test_nor_does_any_further_away(bounds: Bounds) -> None:
    walk, transitions = explore(Rules(), bounds)
    assert walk.broken is None, walk.way
    assert bounds is not FURTHER[0] or transitions > _code()


@pytest.mark.parametrize("rule", Rules._fields)
def test_without_any_one_rule_a_promise_is_broken(rule: str) -> None:
    promise, bounds = WITHOUT[rule]
    walk, _ = explore(Rules()._replace(**{rule: False}), bounds)
    assert walk.broken, f"the protocol doesn't need {rule}"
    assert promise in walk.broken, walk.way


def _code() -> set[tuple[str, str]]:
    """The transitions that the code allows, but for those of resumable uploads."""
    resumable = (UploadStatus.RECEIVING, UploadStatus.EXPIRED)
    return {
        (before.value, after.value)
        for before, afters in TRANSITIONS.items()
        for after in afters
        if before not in resumable and after not in resumable
    }
