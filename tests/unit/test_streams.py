"""Who follows a form: told each change once, whatever it missed, bounded, and let go at a stop."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from starlette.types import Message

from api.news import lookout as lookout_module
from api.news import streams as module
from api.news.event_format import HEARTBEAT, event
from api.news.lookout import Lookout
from api.news.shares import Shares
from api.news.streams import Part, Snapshot, Stream, Streams
from api.records.database import DatabaseUnavailable
from api.routes import event_stream
from api.routes.event_stream import EventStream
from api.texts.errors import Problem

LOOK = 0.05
PATIENCE = 5.0
VIEW = "https://forms.example"


class Form:
    """One form's record, which anybody changes, and how often it was read and written out."""

    def __init__(self) -> None:
        self.version = 1
        self.uploads: dict[str, tuple[int, str]] = {}
        """Version and status, by name."""
        self.status = "draft"
        self.gone = self.away = self.broken = False
        self.reads = 0
        self.written: list[str] = []

    def put(self, name: str, status: str = "staged") -> None:
        self.version += 1
        self.uploads[name] = (self.version, status)

    async def look(self, _: object) -> dict[str, int]:
        if self.away:
            raise DatabaseUnavailable
        return {} if self.gone else {"frm": self.version}

    async def read(self) -> Snapshot:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise DatabaseUnavailable
        if self.broken:
            raise ZeroDivisionError
        if self.gone:
            raise Problem("not-found")
        return Snapshot(
            version=self.version,
            parts=[
                Part(version, status == "removed", partial(self._write, name, status, version))
                for name, (version, status) in reversed(self.uploads.items())
            ],
            form=self.status,
            form_text=partial(event, "form", f'"{self.status}"'),
            settled=self.status == "submitted",
        )

    def _write(self, name: str, status: str, version: int) -> bytes:
        self.written.append(name)
        return event("upload", f'"{name} {status}"', version)


@pytest.fixture
def form() -> Form:
    return Form()


@pytest.fixture
async def lookout(form: Form, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lookout]:
    monkeypatch.setattr(lookout_module, "LOOK_SECONDS", LOOK)
    made = Lookout(form.look)
    yield made
    made.close()


@pytest.fixture
def streams(lookout: Lookout) -> Streams:
    return Streams(lookout, Shares(in_all=6, per_client=4), per_form=5)


@pytest.fixture
async def follow(form: Form, streams: Streams) -> AsyncIterator[Callable[..., Any]]:
    """Opens streams of the form, until the test ends."""
    async with AsyncExitStack() as stack:

        async def opened(known: int | None = None, client: str = "", view: str = VIEW) -> Stream:
            stream = streams.open("frm", view, form.read, known=known, client=client)
            return await stack.enter_async_context(stream)

        yield opened


Follow = Callable[..., Any]


async def told(stream: Stream) -> list[tuple[str, int | None, Any]]:
    """The next events: name, id, data; of a stream that is over none."""
    async with asyncio.timeout(PATIENCE):
        text = await stream.next()
    events = []
    for block in (text or b"").decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        number = int(fields["id"]) if "id" in fields else None
        events.append((fields["event"], number, json.loads(fields["data"])))
    return events


async def quiet(stream: Stream) -> bool:
    """Whether it has nothing to tell for a while in which several looks are made."""
    try:
        async with asyncio.timeout(4 * LOOK):
            await stream.next()
    except TimeoutError:
        return True
    return False


async def test_who_begins_is_told_how_things_stand_oldest_change_first_and_the_form_last(
    form: Form, follow: Follow
) -> None:
    form.put("a")
    form.put("b")
    form.put("a", "stored")
    form.put("c", "removed")
    assert await told(await follow()) == [
        ("upload", 3, "b staged"),
        ("upload", 4, "a stored"),
        ("form", 5, "draft"),
    ]


async def test_who_comes_back_is_told_what_changed_since_and_what_was_removed(
    form: Form, follow: Follow
) -> None:
    for name in "abc":
        form.put(name)
    form.put("a", "removed")
    assert await told(await follow(known=3)) == [
        ("upload", 4, "c staged"),
        ("upload", 5, "a removed"),
        ("form", 5, "draft"),
    ]


@pytest.mark.parametrize("known", [0, 99])
async def test_who_says_what_can_not_be_is_told_everything(
    form: Form, follow: Follow, known: int
) -> None:
    form.put("a")
    form.put("b", "removed")
    events = await told(await follow(known=known))
    assert [data for _, _, data in events] == ["a staged", "b removed", "draft"]


async def test_a_commit_here_is_told_to_all_by_one_reading(
    form: Form, follow: Follow, lookout: Lookout
) -> None:
    following = [await follow(client=each) for each in "abcd"]
    for stream in following:
        await told(stream)
    reads = form.reads
    form.put("a")
    lookout.changed("frm")
    for stream in following:
        assert await told(stream) == [("upload", 2, "a staged")]
    assert form.reads == reads + 1
    assert form.written == ["a"]


async def test_a_commit_elsewhere_is_told_after_the_next_look(form: Form, follow: Follow) -> None:
    stream = await follow()
    await told(stream)
    assert await quiet(stream)
    form.put("a")
    assert await told(stream) == [("upload", 2, "a staged")]
    assert form.reads == 2, "what didn't change was not read again"


async def test_a_commit_while_it_reads_is_not_lost(
    form: Form, follow: Follow, lookout: Lookout
) -> None:
    stream = await follow()
    await told(stream)
    form.put("a")
    lookout.changed("frm")
    await asyncio.sleep(0)
    form.put("b")
    lookout.changed("frm")
    seen = await told(stream)
    if len(seen) == 1:
        seen += await told(stream)
    assert [data for _, _, data in seen] == ["a staged", "b staged"]


async def test_the_form_is_told_again_only_when_it_changed(form: Form, follow: Follow) -> None:
    stream = await follow()
    await told(stream)
    form.version, form.status = 2, "edited"
    assert await told(stream) == [("form", 2, "edited")]


async def test_who_is_slow_is_told_the_newest_of_each_upload_and_nothing_twice(
    form: Form, follow: Follow, lookout: Lookout
) -> None:
    slow, quick = await follow(), await follow()
    for stream in (slow, quick):
        await told(stream)
    for status in ("staged", "processing", "stored"):
        form.put("a", status)
        lookout.changed("frm")
        assert await told(quick) == [("upload", form.version, f"a {status}")]
    form.put("b")
    lookout.changed("frm")
    await told(quick)
    assert await told(slow) == [("upload", 4, "a stored"), ("upload", 5, "b staged")]
    assert await quiet(slow)


async def test_much_is_told_piece_by_piece_and_what_changes_meanwhile_is_told_as_it_is_then(
    form: Form, follow: Follow, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BYTES_AT_ONCE", 1)
    for name in "abcd":
        form.put(name)
    form.put("d", "removed")
    stream = await follow()
    assert await told(stream) == [("upload", 2, "a staged")]
    form.put("c", "stored")
    form.put("d", "stored")
    lookout.changed("frm")
    await follow(client="another")  # and so it was read
    assert await told(stream) == [("upload", 3, "b staged")]
    assert await told(stream) == [("upload", 7, "c stored")]
    assert await told(stream) == [("upload", 8, "d stored"), ("form", 8, "draft")]
    assert await quiet(stream)


async def test_what_was_read_newer_than_its_form_does_not_send_a_client_back(
    form: Form, follow: Follow
) -> None:
    form.put("a")
    form.version -= 1  # another commit came between the two readings
    stream = await follow()
    assert await told(stream) == [("upload", 2, "a staged"), ("form", 2, "draft")]
    form.version += 1
    assert await quiet(stream)


async def test_each_view_of_a_form_has_its_own_words(form: Form, follow: Follow) -> None:
    following = [await follow(view=each) for each in ("http://one", "http://other")]
    for stream in following:
        await told(stream)
    form.put("a")
    for stream in following:
        assert await told(stream) == [("upload", 2, "a staged")]
    assert form.written == ["a", "a"]


async def test_silence_is_broken_by_a_heartbeat(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await follow()
    await told(stream)
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", LOOK)
    assert await stream.next() == HEARTBEAT
    assert await stream.next() == HEARTBEAT


async def test_a_purged_form_ends_its_streams_and_says_so(form: Form, follow: Follow) -> None:
    stream = await follow()
    await told(stream)
    form.gone = True
    assert await told(stream) == [("end", None, {"reason": "purged"})]
    assert await told(stream) == []


async def test_a_form_that_was_submitted_is_followed_to_its_last_upload(
    form: Form, follow: Follow
) -> None:
    stream = await follow()
    await told(stream)
    form.put("a", "stored")
    form.status = "submitted"
    assert await told(stream) == [
        ("upload", 2, "a stored"),
        ("form", 2, "submitted"),
        ("end", None, {"reason": "settled"}),
    ]
    assert await told(stream) == []
    assert (await follow(known=2)).nothing_more
    assert not (await follow(known=1)).nothing_more
    assert not (await follow()).nothing_more


async def test_a_database_that_is_away_for_a_while_ends_no_stream(
    form: Form, follow: Follow, lookout: Lookout
) -> None:
    stream = await follow()
    await told(stream)
    form.away = True
    form.put("a")
    lookout.changed("frm")
    assert await quiet(stream)
    with pytest.raises(DatabaseUnavailable):
        await follow(client="new")
    form.away = False
    assert await told(stream) == [("upload", 2, "a staged")]


async def test_an_error_nobody_expected_ends_the_stream_so_that_its_client_hears_of_it(
    form: Form, follow: Follow, lookout: Lookout
) -> None:
    stream = await follow()
    await told(stream)
    form.broken = True
    lookout.changed("frm")
    assert await told(stream) == []
    with pytest.raises(Problem, match="internal-error"):
        await follow()


async def test_a_client_a_form_and_all_together_have_their_share(
    form: Form, follow: Follow, streams: Streams
) -> None:
    for _ in range(4):
        await follow(client="one")
    with pytest.raises(Problem, match="too-many-requests"):
        await follow(client="one")
    await follow(client="other")
    with pytest.raises(Problem, match="too-many-requests"):
        await follow(client="third", view="http://other")
    async with streams.open("another", VIEW, form.read, known=None, client="third"):
        assert len(streams) == 6
        with pytest.raises(Problem, match="unavailable"):
            await follow(client="fourth")
    assert len(streams) == 5


async def test_at_a_stop_all_end_at_once_whatever_they_do_and_none_begins(
    form: Form, streams: Streams
) -> None:
    opened = partial(streams.open, "frm", VIEW, form.read, known=None, client="")

    told_all: list[Stream] = []
    all_there = asyncio.Barrier(4)

    async def waits() -> None:
        async with opened() as stream:
            await all_there.wait()
            while await stream.next() is not None:
                pass
            told_all.append(stream)

    async def sends() -> None:
        """To a client that takes nothing."""
        async with opened():
            await all_there.wait()
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(each()) for each in (waits, sends, sends)]
    await all_there.wait()
    streams.close()
    streams.close()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*tasks)
    assert not told_all
    assert not len(streams)
    with pytest.raises(Problem, match="unavailable"):
        async with opened():
            pass


async def test_at_a_stop_the_answer_to_a_client_that_takes_nothing_is_given_up(
    form: Form, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "LAST_SECONDS", LOOK)
    stuck = asyncio.Event()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            stuck.set()
            await asyncio.Event().wait()

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    opened = streams.open("frm", VIEW, form.read, known=None, client="")
    answer = EventStream(opened, head_only=False)
    task = asyncio.create_task(answer({"type": "http", "method": "GET"}, receive, send))
    await stuck.wait()
    streams.close()
    async with asyncio.timeout(PATIENCE):
        await task
    assert sent[0]["status"] == 200
    assert not len(streams)


async def test_a_connection_that_closed_unnoticed_is_a_client_that_has_gone(
    form: Form, streams: Streams
) -> None:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    opened = streams.open("frm", VIEW, form.read, known=None, client="")
    async with asyncio.timeout(PATIENCE):
        await EventStream(opened, head_only=False)({"type": "http", "method": "GET"}, receive, send)
    assert not len(streams)


async def test_at_a_stop_who_only_begins_is_sent_elsewhere(form: Form, streams: Streams) -> None:
    asked = asyncio.Event()

    async def never() -> Snapshot:
        asked.set()
        await asyncio.Event().wait()
        return await form.read()

    @asynccontextmanager
    async def opening() -> AsyncIterator[None]:
        async with streams.open("frm", VIEW, never, known=None, client=""):
            yield

    task = asyncio.create_task(opening().__aenter__())
    await asked.wait()
    streams.close()
    with pytest.raises(Problem, match="unavailable"):
        await task


async def test_no_stream_lasts_for_ever(
    form: Form, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", LOOK)
    told_all: list[Stream] = []
    async with (
        asyncio.timeout(PATIENCE),
        streams.open("frm", VIEW, form.read, known=None, client="") as stream,
    ):
        while await stream.next() is not None:
            pass
        told_all.append(stream)
    assert not told_all
    assert not len(streams)
