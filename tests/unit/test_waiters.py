"""Who waits for a change: woken by commits here and elsewhere, bounded, and never for ever."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from api.news import lookout as module
from api.news.lookout import Lookout
from api.news.shares import Shares
from api.news.waiters import Waiters
from api.receive.body import ClientGone
from api.records.database import DatabaseUnavailable

LOOK = 0.05
LONG = 30.0


class Forms:
    """Records that other replicas change, and how often they were asked about."""

    def __init__(self) -> None:
        self.versions = {"a": 1, "b": 1}
        self.away = False
        self.silent = False
        self.asked: list[list[str]] = []
        self.reads = 0

    async def look(self, ids: Sequence[str]) -> dict[str, int]:
        self.asked.append(list(ids))
        if self.silent:
            await asyncio.sleep(LONG)
        if self.away:
            raise DatabaseUnavailable
        return {each: self.versions[each] for each in ids if each in self.versions}

    async def read(self, form_id: str = "a") -> tuple[int, int]:
        self.reads += 1
        if self.silent:
            await asyncio.sleep(LONG)
        if self.away:
            raise DatabaseUnavailable
        if form_id not in self.versions:
            raise LookupError(form_id)
        return self.versions[form_id], self.versions[form_id]


@pytest.fixture
def forms() -> Forms:
    return Forms()


@pytest.fixture
async def lookout(forms: Forms, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lookout]:
    monkeypatch.setattr(module, "LOOK_SECONDS", LOOK)
    monkeypatch.setattr(module, "PATIENCE", 4 * LOOK)
    made = Lookout(forms.look)
    yield made
    made.close()


@pytest.fixture
async def waiters(lookout: Lookout) -> AsyncIterator[Waiters]:
    made = Waiters(lookout, Shares(in_all=5, per_client=3))
    yield made
    made.close()


def wait(
    waiters: Waiters, forms: Forms, *, form: str = "a", seconds: float = LONG, client: str = ""
) -> asyncio.Task[int]:
    """Until the version is 2."""
    return asyncio.create_task(
        waiters.wait_until(
            form, lambda: forms.read(form), lambda seen: seen > 1, seconds, client=client
        )
    )


async def test_a_commit_here_is_seen_without_asking_the_database_for_versions(
    waiters: Waiters, lookout: Lookout, forms: Forms
) -> None:
    waiting = wait(waiters, forms)
    await asyncio.sleep(0)
    forms.versions["a"] = 2
    lookout.changed("a")
    assert await waiting == 2
    assert forms.asked == []
    assert not len(waiters)


async def test_a_commit_elsewhere_is_seen_at_the_next_look(waiters: Waiters, forms: Forms) -> None:
    waiting = wait(waiters, forms)
    await asyncio.sleep(2.5 * LOOK)
    forms.versions["a"] = 2
    assert await waiting == 2
    assert forms.reads == 2, "what didn't change was not read again"


async def test_a_commit_while_the_first_read_is_under_way_is_not_lost(
    waiters: Waiters, lookout: Lookout, forms: Forms
) -> None:
    async def slow_read() -> tuple[int, int]:
        found = await forms.read()
        await asyncio.sleep(0.01)
        return found

    waiting = asyncio.create_task(waiters.wait_until("a", slow_read, lambda seen: seen > 1, LONG))
    await asyncio.sleep(0)
    forms.versions["a"] = 2
    lookout.changed("a")
    async with asyncio.timeout(5):
        assert await waiting == 2


async def test_a_commit_elsewhere_while_it_reads_is_not_lost(
    waiters: Waiters, forms: Forms
) -> None:
    async def slow_read() -> tuple[int, int]:
        found = await forms.read()
        forms.versions["a"] = 2  # by another replica, after this one looked
        await asyncio.sleep(3 * LOOK)
        return found

    async with asyncio.timeout(5):
        assert await waiters.wait_until("a", slow_read, lambda seen: seen > 1, LONG) == 2


async def test_one_query_serves_all_and_none_is_made_when_nobody_waits(
    waiters: Waiters, forms: Forms
) -> None:
    waiting = [wait(waiters, forms, form=form, seconds=4.5 * LOOK, client=form) for form in "aaabb"]
    assert await asyncio.gather(*waiting) == [1] * 5
    assert 1 <= len(forms.asked) <= 5
    assert sorted(forms.asked[0]) == ["a", "b"]
    assert all(forms.asked), "nobody asks about nothing"
    looks = len(forms.asked)
    await asyncio.sleep(3 * LOOK)
    assert len(forms.asked) <= looks + 1
    assert forms.reads == 5, "their time was over, and nothing had changed"


async def test_a_form_that_is_purged_meanwhile_is_read_again(
    waiters: Waiters, forms: Forms
) -> None:
    waiting = wait(waiters, forms)
    await asyncio.sleep(0)
    del forms.versions["a"]
    with pytest.raises(LookupError):
        await waiting


async def test_a_database_that_is_away_for_a_while_costs_the_waiter_nothing(
    waiters: Waiters, forms: Forms
) -> None:
    waiting = wait(waiters, forms)
    await asyncio.sleep(0)
    forms.away = True
    await asyncio.sleep(5 * LOOK)
    forms.versions["a"] = 2
    forms.away = False
    assert await waiting == 2


@pytest.mark.parametrize("how", ["away", "silent"])
async def test_a_database_that_stays_away_is_told_when_the_time_is_over(
    waiters: Waiters, forms: Forms, how: str
) -> None:
    waiting = wait(waiters, forms, seconds=10 * LOOK)
    await asyncio.sleep(0)
    setattr(forms, how, True)
    async with asyncio.timeout(5):
        with pytest.raises(DatabaseUnavailable):
            await waiting
    assert not len(waiters)


async def test_who_has_its_share_waiting_is_answered_at_once(
    waiters: Waiters, forms: Forms
) -> None:
    waiting = [wait(waiters, forms, client="one") for _ in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await wait(waiters, forms, client="one") == 1
        waiting += [wait(waiters, forms, client="other") for _ in range(2)]
        await asyncio.sleep(0)
        assert await wait(waiters, forms, client="third") == 1, "five wait in all"
    waiting.pop(0).cancel()
    await asyncio.sleep(0)
    again = wait(waiters, forms, client="one")
    await asyncio.sleep(2 * LOOK)
    assert not again.done()
    for each in (*waiting, again):
        each.cancel()


async def test_who_leaves_is_let_go_at_once(waiters: Waiters, forms: Forms) -> None:
    gone = asyncio.Event()

    async def left() -> None:
        await gone.wait()

    waiting = asyncio.create_task(
        waiters.wait_until("a", forms.read, lambda _: False, LONG, left=left)
    )
    await asyncio.sleep(LOOK)
    gone.set()
    async with asyncio.timeout(5):
        with pytest.raises(ClientGone):
            await waiting
    assert not len(waiters)


async def test_who_leaves_while_a_read_stands_in_line_is_let_go_too(
    waiters: Waiters, lookout: Lookout, forms: Forms
) -> None:
    gone, open_again = asyncio.Event(), asyncio.Event()
    reads = 0

    async def left() -> None:
        await gone.wait()

    async def read() -> tuple[int, int]:
        nonlocal reads
        reads += 1
        return await forms.read()

    waiting = asyncio.create_task(waiters.wait_until("a", read, lambda _: False, LONG, left=left))
    await asyncio.sleep(0.01)

    async def slow() -> tuple[int, int]:
        await open_again.wait()
        return 2, 2

    ahead = [
        asyncio.create_task(waiters.wait_until("b", slow, lambda _: True, LONG, client=client))
        for client in "wxyz"
    ]
    await asyncio.sleep(0.01)
    lookout.changed("a")
    await asyncio.sleep(0.01)
    gone.set()
    await asyncio.sleep(0.01)
    open_again.set()
    async with asyncio.timeout(5):
        with pytest.raises(ClientGone):
            await waiting
        await asyncio.gather(*ahead)
    assert reads == 2


async def test_at_a_stop_all_are_answered_with_what_is_known(
    waiters: Waiters, forms: Forms
) -> None:
    waiting = [wait(waiters, forms, client=client) for client in "abc"]
    await asyncio.sleep(0.01)
    waiters.close()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [1, 1, 1]
        assert await wait(waiters, forms) == 1


async def test_looking_goes_on_after_an_error_nobody_expected(
    forms: Forms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", LOOK)
    whole = forms.look
    broken = [True]

    async def look(ids: Sequence[str]) -> dict[str, int]:
        if broken:
            broken.pop()
            raise ZeroDivisionError
        return await whole(ids)

    forms_watched = Waiters(Lookout(look))
    waiting = wait(forms_watched, forms)
    await asyncio.sleep(0)
    forms.versions["a"] = 2
    async with asyncio.timeout(5):
        assert await waiting == 2
