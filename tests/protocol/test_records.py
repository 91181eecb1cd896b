"""Anything in any order, by two replicas, with crashes and lost answers: the records are what the
protocol says, nothing is lost, nothing stays stuck, nothing is left over."""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.protocol.conftest import Home
from tests.protocol.house import OUTCOMES, House, Operation, Order, where
from tests.support.commits import FAULTS

FIELDS = ("needed", "pair")
SWEEPS = (
    *("take_back_lost_leases", "fail_overdue", "clear_volume", "forget_done", "erase_purged"),
    *("drop_old_bytes", "purge_old_forms", "expire_abandoned"),
)
T = TypeVar("T")


class Choice(NamedTuple):
    """Which of the uploads or workers there are, and how."""

    which: int
    how: int

    def of(self, there: list[T]) -> T:
        return there[-1 - self.which % len(there)]

    @property
    def field(self) -> str:
        return FIELDS[self.how % 2]


class Kind(NamedTuple):
    make: Callable[[House, Choice], Operation]
    often: int = 1
    needs: Callable[[House], object] = lambda _: True
    takes_faults: bool = True


def of_upload(make: Callable[[House, str, int], Operation], often: int = 1) -> Kind:
    def made(house: House, choice: Choice) -> Operation:
        return make(house, choice.of(list(house.reference.uploads)), choice.how)

    return Kind(made, often, lambda house: house.reference.uploads)


def of_worker(make: Callable[[House, Order, int], Operation], often: int = 1) -> Kind:
    def made(house: House, choice: Choice) -> Operation:
        return make(house, choice.of(house.orders), choice.how)

    return Kind(made, often, lambda house: house.orders)


def over(house: House) -> list[Order]:
    """Workers that said what became of their upload."""
    return [each for each in house.finished if each.reported]


def unfinished(house: House) -> list[str]:
    """Resumable uploads that are not all here, and one that is or has ended."""
    mine = [each for each in house.reference.uploads.values() if each.received is not None]
    return [each.id for each in mine if each.status == "receiving" or each is mine[-1]]


KINDS: dict[str, Kind] = {
    "acknowledge": Kind(lambda house, choice: house.acknowledge(choice.field), 4),
    "acknowledge with a key": Kind(
        lambda house, choice: house.acknowledge(choice.field, f"key-{choice.which % 2}"), 2
    ),
    "begin": Kind(lambda house, choice: house.begin(choice.field, b"resumable"), 2),
    "send": Kind(
        lambda house, choice: house.send(choice.of(unfinished(house)), 1 + 2 * choice.how),
        6,
        needs=unfinished,
        takes_faults=False,  # several transactions: see tests/faults/test_resumable.py
    ),
    "send elsewhere": Kind(
        lambda house, choice: house.send(choice.of(unfinished(house)), 2, wrong_by=1),
        needs=unfinished,
        takes_faults=False,
    ),
    "stand": Kind(
        lambda house, choice: house.stand(choice.of(unfinished(house))),
        needs=unfinished,
        takes_faults=False,
    ),
    "save": Kind(lambda house, choice: house.save(f"note {choice.how}")),
    "clear": Kind(lambda house, choice: house.clear(choice.field)),
    "submit": Kind(lambda house, _: house.submit(), 2),
    "purge": Kind(lambda house, choice: house.purge(always=bool(choice.how % 2))),
    "clean": Kind(
        lambda house, choice: house.clean(confirmed=bool(choice.how)), takes_faults=False
    ),
    "sweep": Kind(
        lambda house, choice: house.sweep(SWEEPS[(choice.which * 6 + choice.how) % len(SWEEPS)]), 6
    ),
    "claim": of_upload(lambda house, upload, _: house.claim(upload, house.new_claim()), 8),
    "remove": of_upload(lambda house, upload, how: house.remove(upload, always=bool(how % 2))),
    "retry": of_upload(lambda house, upload, how: house.retry(upload, always=bool(how % 2)), 2),
    "reuse": of_upload(lambda house, upload, how: house.reuse(upload, FIELDS[how % 2]), 4),
    "release": of_upload(lambda house, upload, _: house.release(upload), 2),
    "claim again": of_worker(lambda house, order, _: house.claim(order.upload_id, order.claim_id)),
    "heartbeat": of_worker(
        lambda house, order, how: house.heartbeat(order, ("validating", "storing")[how % 2]), 4
    ),
    "report": of_worker(lambda house, order, how: house.report(order, OUTCOMES[how]), 8),
    "report again": Kind(
        lambda house, choice: house.report(choice.of(over(house)), "stored"), 4, needs=over
    ),
}


async def a_worker_puts_and_is_killed(house: House) -> None:
    order = house.orders.pop()
    house.bucket |= {where(order.key, flagged=flagged) for flagged in (False, True)}


async def another_worker_takes_over(house: House) -> None:
    """The first is stalled, and goes on later."""
    upload_id = house.orders[-1].upload_id
    await house.pass_time("leases")
    await house.just_do(house.sweep("take_back_lost_leases"))
    await house.pass_time("backoffs")
    await house.just_do(house.claim(upload_id, house.new_claim()))


async def all_is_stored_and_submitted(house: House) -> None:
    await house.come_to_rest()
    await house.just_do(house.submit())


def can_be_reused(house: House) -> list[str]:
    stored = [u.id for u in house.reference.uploads.values() if u.status == "stored"]
    return stored if house.reference.status == "draft" else []


async def a_reused_one_is_removed_and_cleaned(house: House) -> None:
    """The new one still needs what lies there."""
    upload_id = can_be_reused(house)[-1]
    await house.just_do(house.reuse(upload_id, "needed"))
    await house.just_do(house.remove(upload_id, always=False))
    await house.pass_time("work and a day")
    await house.just_do(house.clean(confirmed=True))
    await house.check()


class Happening(NamedTuple):
    happen: Callable[[House], Coroutine[Any, Any, None]]
    often: int = 1
    needs: Callable[[House], object] = lambda _: True


HAPPENINGS: dict[str, Happening] = {
    **{
        f"time passes: {what}": Happening(lambda house, what=what: house.pass_time(what), often)  # type: ignore[misc] # bound here
        for what, often in (("backoffs", 4), ("leases", 2), ("deadlines", 1), ("retentions", 2))
    },
    "time passes: work and a day": Happening(lambda house: house.pass_time("work and a day")),
    "a worker puts and is killed": Happening(
        a_worker_puts_and_is_killed, 2, lambda house: house.orders
    ),
    "another worker takes over": Happening(
        another_worker_takes_over, 2, lambda house: house.orders
    ),
    "a reused one is removed and cleaned": Happening(
        a_reused_one_is_removed_and_cleaned, 2, can_be_reused
    ),
    "all is stored and submitted": Happening(all_is_stored_and_submitted),
}


class Pick(NamedTuple):
    """Which of the operations that are possible now, and of what."""

    number: int
    choice: Choice

    def of(self, possible: list[str]) -> str:
        return possible[self.number % len(possible)]


class Step(NamedTuple):
    """All that is drawn for it. It doesn't depend on the state, which may be either of two after a
    race: the same draws must always be possible."""

    is_race: bool
    first: Pick
    second: Pick
    fault: str | None
    replica: int


CHOICES = st.builds(Choice, st.integers(0, 3), st.integers(0, len(OUTCOMES) - 1))
PICKS = st.builds(Pick, st.integers(0, 999), CHOICES)
STEPS = st.builds(
    Step,
    st.sampled_from([False, False, True]),
    *(PICKS, PICKS),
    st.sampled_from([None, None, *FAULTS]),
    st.sampled_from([0, 1]),
)


class Records(RuleBasedStateMachine):
    home: Home

    def __init__(self) -> None:
        super().__init__()
        self.house, self.run = self.home.house, self.home.run
        self.run(self.house.move_in())

    @rule(step=STEPS)
    def step(self, step: Step) -> None:
        for content in (b"one", b"other")[len(self.house.received) :]:
            self.run(self.house.receive(content))
        happenings = [] if step.is_race else self._possible(HAPPENINGS)
        name = step.first.of([*self._possible(KINDS), *happenings])
        if name in HAPPENINGS:
            self.run(HAPPENINGS[name].happen(self.house))
            return
        first = KINDS[name].make(self.house, step.first.choice)
        if step.is_race:
            other = step.second.of(self._possible(KINDS))
            second = KINDS[other].make(self.house, step.second.choice)
            if first.name != second.name and not (first.preempts and second.preempts):
                self.run(self.house.carry_out_both(first, second))
                return
        fault = step.fault if KINDS[name].takes_faults else None
        self.run(self.house.carry_out(first, step.replica, fault))

    def _possible(self, table: dict[str, Kind] | dict[str, Happening]) -> list[str]:
        return [
            name
            for name, each in table.items()
            if each.needs(self.house)
            for _ in range(each.often)
        ]

    def teardown(self) -> None:
        self.run(self.house.come_to_rest())
        self.run(self.house.move_out())


def test_whatever_happens_in_whatever_order_the_records_follow_the_protocol(home: Home) -> None:
    _run(home, examples=8, steps=50)


def test_what_an_upload_reuses_is_cleaned_only_once_it_is_stored_itself(home: Home) -> None:
    async def live(house: House) -> None:
        await house.move_in()
        await house.receive(b"one")
        await house.just_do(house.acknowledge("needed"))
        await house.come_to_rest()
        await a_reused_one_is_removed_and_cleaned(house)
        await house.come_to_rest()
        await house.move_out()

    home.run(live(home.house))


@pytest.mark.slow
def test_and_so_they_do_for_a_long_time(home: Home) -> None:
    _run(home, examples=150, steps=80)


def _run(home: Home, *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        type("AtHome", (Records,), {"home": home}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # a race doesn't come out the same again: nothing to shrink
            print_blob=True,
            database=None,  # no run depends on an earlier one
        ),
    )
