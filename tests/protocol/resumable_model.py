"""How the bytes of one resumable upload come in, as a state machine small enough to be looked at
whole: two replicas that receive, a client that begins anew whenever it likes, kills and power cuts.

A block is known by the number of the request that brought it: so it is seen when one that was
acknowledged is another one later. What happens once the upload is `staged` is in `model.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.protocol.search import Step, Walk, search

BLOCKS = 2
"""Of the upload."""


class Rules(NamedTuple):
    """The rules of P12 in `docs/protocol.md` that can be taken out."""

    own_segment: bool = True
    """A process writes to a file of its own."""
    tail_is_cut: bool = True
    """What was written and not acknowledged is cut off before a process goes on with its segment."""
    fsynced_first: bool = True
    """Before the offset moves."""
    moves_from_where_it_stands: bool = True
    """Compare and set."""
    moves_for_the_last_writer: bool = True
    """Who began later has taken the upload."""
    orphan_is_condemned_first: bool = True
    """The sweep and the writer insert the same name into one table."""
    joined_when_complete: bool = True
    """Nobody can add anything any more."""
    status_is_checked_at_the_end: bool = True
    """It may have been removed while it was joined."""
    segments_are_condemned: bool = True
    """With what makes it `staged`, or ends it."""
    submit_waits_for_the_whole: bool = True
    """Once all bytes are here the form can't be submitted before the upload is `staged`."""
    submit_ends_the_rest: bool = True
    """What lacks bytes when its form is submitted ends in the same transaction."""


class Bounds(NamedTuple):
    """How far is looked."""

    requests: int
    crashes: int = 0


class Segment(NamedTuple):
    start: int
    blocks: tuple[int, ...] = ()  # what the file holds
    synced: int = 0  # so many of them are still there after a power cut
    size: int = 0  # so many are acknowledged; 0 without a row
    orphan: str = ""  # how far the sweep is with a file without a row: seen, done
    condemned: bool = False  # its name before there was a row, or its row
    gone: bool = False


class Writer(NamedTuple):
    at: str = "idle"  # idle, writing
    number: int = 0
    segment: int = -1
    received: int = 0  # where it thinks that the upload stands
    wrote: int = 0  # blocks behind that
    synced: int = 0  # of them


class State(NamedTuple):
    status: str = "receiving"
    received: int = 0
    number: int = 0
    segments: tuple[Segment, ...] = ()
    writers: tuple[Writer, Writer] = (Writer(), Writer())
    own: tuple[int, int] = (-1, -1)  # the segment that each process remembers
    joined: tuple[bool, bool] = (False, False)
    staged: tuple[int, ...] | None = None
    promised: tuple[int, ...] = ()  # what clients were told is safe
    outrun: bool = False  # an older writer moved what a newer one had begun with
    removed: bool = False
    submitted: bool = False
    requests: int = 0
    crashes: int = 0

    def segment(self, k: int, **values: Any) -> "State":
        changed = list(self.segments)
        changed[k] = changed[k]._replace(**values)
        return self._replace(segments=tuple(changed))

    def writer(self, r: int, writer: Writer) -> "State":
        return self._replace(writers=_set(self.writers, r, writer))


def _set(pair: tuple[Any, Any], at: int, value: Any) -> tuple[Any, Any]:
    return (value, pair[1]) if at == 0 else (pair[0], value)


@dataclass(frozen=True)
class Receiving:
    rules: Rules
    bounds: Bounds

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Everything that may happen next."""
        for r in (0, 1):
            yield from self.request(state, r)
            yield from self.write(state, r)
            yield from self.finish(state, r)
            if state.crashes < self.bounds.crashes:
                yield f"{r} is killed", self._killed(state, r)
        if state.crashes < self.bounds.crashes:
            yield "the power is cut", self._power_cut(state)
        for k in range(len(state.segments)):
            yield from self.sweep(state, k)
        if state.status == "receiving" and not state.submitted:
            yield "removed", self._end(state, "removed")._replace(removed=True)
            yield from self.submit(state)

    def submit(self, state: State) -> Iterator[Step[State]]:
        """The form, whose field has another file."""
        if state.received == BLOCKS and self.rules.submit_waits_for_the_whole:
            return
        submitted = state._replace(submitted=True)
        if self.rules.submit_ends_the_rest:
            submitted = self._end(submitted, "expired")
        yield "the form is submitted", submitted

    # --- requests

    def request(self, state: State, r: int) -> Iterator[Step[State]]:
        """In one process a request waits until another is over."""
        waits = state.status != "receiving" or state.submitted or state.received == BLOCKS
        if waits or state.writers[r].at != "idle" or state.requests == self.bounds.requests:
            return
        begun = state._replace(number=state.number + 1, requests=state.requests + 1)
        yield f"{r} is asked where it stands", begun
        k = state.own[r] if self.rules.own_segment else len(state.segments) - 1
        goes_on = k >= 0 and state.segments[k].size and not state.segments[k].gone
        if goes_on and (self._end_of(state.segments[k]) == state.received):
            if self.rules.tail_is_cut:
                kept = state.segments[k].blocks[: state.segments[k].size]
                begun = begun.segment(
                    k, blocks=kept, synced=min(len(kept), state.segments[k].synced)
                )
        elif k < 0 or self.rules.own_segment:
            k = len(state.segments)
            begun = begun._replace(segments=(*begun.segments, Segment(state.received)))
        writer = Writer("writing", begun.number, k, state.received)
        yield f"{r} begins at {state.received}", begun.writer(r, writer)

    def write(self, state: State, r: int) -> Iterator[Step[State]]:
        writer = state.writers[r]
        if writer.at == "idle":
            return
        segment = state.segments[writer.segment]
        over = state.writer(r, Writer())
        if segment.size:
            over = over._replace(own=_set(over.own, r, writer.segment))
        yield f"the request of {r} is over", over
        if segment.gone:
            return
        at = len(segment.blocks)
        if not self.rules.own_segment:  # one file, each where it thinks
            at = writer.received + writer.wrote - segment.start
        if writer.received + writer.wrote < BLOCKS:
            blocks = (*segment.blocks[:at], writer.number, *segment.blocks[at + 1 :])
            wrote = state.segment(writer.segment, blocks=blocks)
            yield f"{r} writes", wrote.writer(r, writer._replace(wrote=writer.wrote + 1))
        if writer.synced < writer.wrote:
            synced = state.segment(writer.segment, synced=len(segment.blocks))
            yield f"{r} syncs", synced.writer(r, writer._replace(synced=writer.wrote))
        if writer.synced or (writer.wrote and not self.rules.fsynced_first):
            yield from self._move(state, r)

    def _move(self, state: State, r: int) -> Iterator[Step[State]]:
        """The transaction that acknowledges; who may not hears so, and ends."""
        writer, rules = state.writers[r], self.rules
        segment = state.segments[writer.segment]
        more = writer.synced if rules.fsynced_first else writer.wrote
        to = writer.received + more
        is_last = writer.number == state.number
        may = (
            state.status == "receiving"
            and (is_last or not rules.moves_for_the_last_writer)
            and (writer.received == state.received or not rules.moves_from_where_it_stands)
            and not (segment.condemned and rules.orphan_is_condemned_first)
        )
        if not may:
            yield f"{r} may not move it", state.writer(r, Writer())
            return
        moved = state.segment(writer.segment, size=to - segment.start)._replace(
            received=to,
            promised=(*state.promised[: writer.received], *more * (writer.number,)),
            outrun=state.outrun or not is_last,
        )
        goes_on = writer._replace(
            received=to, wrote=writer.wrote - more, synced=writer.synced - more
        )
        yield f"{r} moves it to {to}", moved.writer(r, goes_on if rules.fsynced_first else Writer())

    # --- the end

    def finish(self, state: State, r: int) -> Iterator[Step[State]]:
        complete = state.received == BLOCKS or not self.rules.joined_when_complete
        can_end = state.status == "receiving" and not state.submitted
        if can_end and complete and state.received and not state.joined[r]:
            whole = tuple(block for each in self._rows(state) for block in each.blocks[: each.size])
            joined = state._replace(staged=whole, joined=_set(state.joined, r, True))
            yield f"{r} joins", joined
        if state.joined[r]:
            done = state._replace(joined=_set(state.joined, r, False))
            may = can_end or not self.rules.status_is_checked_at_the_end
            if may and state.status != "staged" and state.received == BLOCKS:
                yield f"{r} makes it staged", self._end(done, "staged")
            else:
                yield f"{r} finds it over", done

    def _end(self, state: State, to: str) -> State:
        ended = state._replace(status=to)
        for k, segment in enumerate(state.segments):
            if segment.size and self.rules.segments_are_condemned:
                ended = ended.segment(k, condemned=True)
        return ended

    # --- what dies, and the sweep

    def _killed(self, state: State, r: int) -> State:
        state = state.writer(r, Writer())
        return state._replace(
            own=_set(state.own, r, -1),
            joined=_set(state.joined, r, False),
            crashes=state.crashes + 1,
        )

    def _power_cut(self, state: State) -> State:
        for k, segment in enumerate(state.segments):
            state = state.segment(k, blocks=segment.blocks[: segment.synced])
        return self._killed(self._killed(state, 0), 1)._replace(crashes=state.crashes + 1)

    def sweep(self, state: State, k: int) -> Iterator[Step[State]]:
        segment = state.segments[k]
        if segment.gone:
            return
        if segment.size:
            if segment.condemned:
                yield f"sweep unlinks segment {k}", state.segment(k, gone=True, blocks=())
        elif not segment.orphan:
            condemned = self.rules.orphan_is_condemned_first
            yield f"sweep sees {k}", state.segment(k, orphan="seen", condemned=condemned)
        if segment.orphan == "seen":
            taken = state.segment(k, orphan="done", gone=True, blocks=())
            yield f"sweep takes segment {k} away", taken

    def _rows(self, state: State) -> list[Segment]:
        return sorted((each for each in state.segments if each.size), key=lambda each: each.start)

    def _end_of(self, segment: Segment) -> int:
        return segment.start + segment.size

    # --- the promises

    def broken(self, state: State) -> str | None:
        """Which promise is broken in this state."""
        if state.status == "receiving":
            here = tuple(block for each in self._rows(state) for block in each.blocks[: each.size])
            if here != state.promised:
                return f"{state.promised} was acknowledged, and {here} is there"
        if state.status == "expired" and len(state.promised) == BLOCKS:
            return "all of it was acknowledged, and it expired"
        if state.status == "staged":
            if state.removed:
                return "it was removed, and is staged"
            if state.staged != state.promised:
                return f"{state.promised} was acknowledged, and {state.staged} is staged"
        return "an older writer moved what a newer one had begun with" if state.outrun else None

    def left_over(self, state: State) -> str | None:
        """What nobody will ever take away, in a state after which nothing happens."""
        if state.status == "receiving" and state.submitted:
            return "nobody can end it"
        left = [k for k, each in enumerate(state.segments) if not each.gone]
        return f"orphaned segments {left}" if left and state.status != "receiving" else None


def explore(rules: Rules, bounds: Bounds, promise: str = "") -> Walk[State]:
    """Walk through every state, nearest first, to one that breaks a promise of these words."""
    model = Receiving(rules, bounds)

    def broken(state: State, steps: Sequence[Step[State]]) -> str | None:
        found = model.broken(state) or (None if steps else model.left_over(state))
        return found if found and promise in found else None

    return search(State(), model.steps, broken)
