"""Two transactions on two connections, the second begun before the first commits: it waits, and
then finds what the first left."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest

from tests.protocol.conftest import Home
from tests.protocol.house import House, Operation

RACES = [
    ("submit", "acknowledge"),
    ("acknowledge", "submit"),
    ("purge", "acknowledge"),
    ("acknowledge", "purge"),
    ("purge", "store"),
    ("store", "purge"),
    ("remove the held", "store"),
    ("store", "remove the held"),
    ("take back", "store"),
    ("store", "take back"),
    ("take back", "take back"),
    ("take back", "heartbeat"),
    ("store", "remove the stored"),
    ("save", "store"),
    ("store", "save"),
    ("store", "store"),
    ("store", "submit"),
    ("submit", "reject"),
    ("retry", "purge"),
    ("purge", "retry"),
    ("retry", "retry"),
    ("remove the waiting", "acknowledge one of many"),
    ("acknowledge one of many", "acknowledge one of many"),
    ("acknowledge with a key", "acknowledge with a key"),
    ("quarantine orphans", "acknowledge"),
    ("acknowledge", "quarantine orphans"),
    ("claim", "claim"),
    ("claim", "remove the waiting"),
    ("remove the waiting", "claim"),
    ("clean", "clean"),
    ("release", "release"),
    ("release", "store"),
    ("store", "release"),
    ("release", "remove the stored"),
    ("purge", "release"),
    ("flag", "release"),
    ("reuse the stored", "remove the stored"),
    ("remove the stored", "reuse the stored"),
    ("reuse the stored", "store"),
    ("store", "reuse the stored"),
    ("reuse the waiting", "remove the waiting"),
    ("remove the waiting", "reuse the waiting"),
    ("purge", "reuse the stored"),
    ("heartbeat", "take back"),
    ("reuse the stored", "clean"),
    ("remove the arriving", "send the arriving"),
    ("purge", "send the arriving"),
    ("expire the arriving", "send the arriving"),
    ("remove the arriving", "begin to send the arriving"),
    ("expire the arriving", "ask where the arriving stands"),
    ("expire the arriving", "remove the arriving"),
    ("submit", "begin"),
]


@pytest.mark.parametrize(("first", "second"), RACES)
def test_who_comes_second_waits_and_finds_what_the_first_left(
    home: Home, first: str, second: str
) -> None:
    home.run(_race(home.house, first, second))


@pytest.mark.slow
def test_and_so_it_is_for_any_two(home: Home) -> None:
    for first, second in product(OPERATIONS.keys() - SEVERAL, OPERATIONS):
        home.run(_race(home.house, first, second))


@dataclass(frozen=True)
class Furniture:
    """Uploads: a stored one, a newer one of its slot that is flagged, and the newest, which is held
    by a worker whose lease is over; a failed one and a waiting one. Beside them a prefix to be
    cleaned, and files just received."""

    stored: str
    flagged: str
    failed: str
    waiting: str
    held: str
    arriving: str = ""
    """A resumable one past its time, where that is asked for."""


Make = Callable[[House, Furniture], Operation]
OPERATIONS: dict[str, Make] = {
    "acknowledge": lambda house, _: house.acknowledge("needed"),
    "acknowledge one of many": lambda house, _: house.acknowledge("pair"),
    "acknowledge with a key": lambda house, _: house.acknowledge("needed", "key"),
    "claim": lambda house, there: house.claim(there.waiting, house.new_claim()),
    "store": lambda house, _: house.report(house.orders[0], "stored"),
    "flag": lambda house, _: house.report(house.orders[0], "flagged"),
    "release": lambda house, there: house.release(there.flagged),
    "heartbeat": lambda house, _: house.heartbeat(house.orders[0], "storing"),
    "reject": lambda house, _: house.report(house.orders[0], "rejected"),
    "remove the held": lambda house, there: house.remove(there.held, always=False),
    "remove the stored": lambda house, there: house.remove(there.stored, always=False),
    "remove the waiting": lambda house, there: house.remove(there.waiting, always=False),
    "reuse the stored": lambda house, there: house.reuse(there.stored, "needed"),
    "reuse the waiting": lambda house, there: house.reuse(there.waiting, "needed"),
    "begin": lambda house, _: house.begin("needed", b"arriving"),
    "begin to send the arriving": lambda house, there: house.send(there.arriving, 2),
    "send the arriving": lambda house, there: house.send(there.arriving, 100),
    "ask where the arriving stands": lambda house, there: house.stand(there.arriving),
    "remove the arriving": lambda house, there: house.remove(there.arriving, always=False),
    "expire the arriving": lambda house, _: house.sweep("expire_abandoned"),
    "retry": lambda house, there: house.retry(there.failed, always=False),
    "take back": lambda house, _: house.sweep("take_back_lost_leases"),
    "quarantine orphans": lambda house, _: house.sweep("quarantine_orphans"),
    "clean": lambda house, _: house.clean(confirmed=True),
    "save": lambda house, _: house.save(house.new_claim()),
    "submit": lambda house, _: house.submit(),
    "purge": lambda house, _: house.purge(always=False),
}


SEVERAL = {"begin to send the arriving", "send the arriving", "ask where the arriving stands"}
"""They are several transactions, between which a second may come."""
OF_THE_HELD = {"store", "flag", "reject", "heartbeat"}
"""By the worker that holds it."""


async def _race(house: House, first: str, second: str) -> None:
    await house.move_in()
    there = await _furnish(house, with_arriving="arriving" in f"{first} {second}")
    if "submit" in (first, second) and not OF_THE_HELD & {first, second}:
        await house.just_do(house.report(house.orders[0], "stored"))  # so that nothing is pending
        await house.just_do(house.remove(there.waiting, always=False))
    operations = [OPERATIONS[name](house, there) for name in (first, second)]
    await house.carry_out_behind(operations[0], operations[1])
    await house.move_out()


async def _furnish(house: House, *, with_arriving: bool) -> Furniture:
    for field, outcomes in (
        ("needed", ["stored"]),
        ("needed", ["flagged"]),
        ("pair", ["counted", "counted"]),
    ):
        await house.receive(b"old")
        await house.just_do(house.acknowledge(field))
        for outcome in outcomes:
            upload_id = list(house.reference.uploads)[-1]
            await house.pass_time("backoffs")
            await house.just_do(house.claim(upload_id, house.new_claim()))
            await house.just_do(house.report(house.orders[0], outcome))
    for field in ("pair", "needed"):
        await house.receive(b"newer")
        await house.just_do(house.acknowledge(field))
    await house.just_do(house.claim(list(house.reference.uploads)[-1], house.new_claim()))
    if with_arriving:
        await house.just_do(house.begin("needed", b"arriving"))
        await house.just_do(house.send(list(house.reference.uploads)[-1], 3))
        await house.pass_time("deadlines")
    there = Furniture(*house.reference.uploads)
    await house.pass_time("leases")
    await house.let_cleanings_be_due()
    for _ in range(2):
        await house.receive(b"new")
    return there
