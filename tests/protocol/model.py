"""The protocol as a state machine small enough to be looked at whole.

One field for one file, two uploads of it, two workers, and whatever they, the sweep, the person and
the crashes may do next, in any order: `explore` walks through every state that can be reached, and
says the shortest way to one in which a promise is broken. Each of `Rules` may be taken out; that
each is needed is shown by what breaks then.

Not modelled: time (a lease may be over whenever somebody holds one), Redis (a job has no rights),
texts, and that something happens at last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.protocol.search import Step, Walk, search

Key = tuple[int, int]
"""Upload and generation: what names an object's prefix."""


class Rules(NamedTuple):
    """The rules of `docs/protocol.md` that can be taken out."""

    generation_in_key: bool = True
    """P6. No two attempts write under one prefix."""
    repeated_outcome_by_applied: bool = True
    """P3. An outcome is known by the generation that was applied, whatever the status is now."""
    outcome_needs_processing: bool = True
    """P2. The same generation is not enough."""
    stored_is_not_replaced_at_acknowledgement: bool = True
    """P8."""
    pending_is_not_replaced_at_acknowledgement: bool = True
    """P8."""
    only_older_is_replaced: bool = True
    """P8."""
    withheld_replaces_nothing: bool = True
    """P8. What is flagged doesn't hold its slot."""
    release_replaces: bool = True
    """P8. As a stored outcome does."""
    orphan_is_condemned_first: bool = True
    """P5. The sweep and the receiver insert the same name into one table."""
    unknown_commit_keeps_file: bool = True
    """P5. Nothing is deleted once COMMIT was sent."""
    bytes_are_condemned_first: bool = True
    """P5. Condemn, commit, unlink."""
    ended_generation_is_doomed: bool = True
    """P7. In the transaction that ends it."""
    cleaning_waits: bool = True
    """P7. Until nobody can be putting there any more."""
    attempt_is_given_back_once: bool = True
    """P3. The generation is forgotten with it, as its worker asks again when no answer comes."""
    retry_forgets_lost_leases: bool = True
    """P3. The attempts begin anew: there is none of before to be given back."""
    reused_object_is_spared: bool = True
    """P7. No cleaning takes an object that an upload is yet to be made of."""
    reused_is_checked_at_the_commit: bool = True
    """P2. It may have been removed, and its prefix be doomed and cleaned, since it was looked at."""
    form_is_checked_at_the_commit: bool = True
    """P2. It may have been purged while the body came."""


class Bounds(NamedTuple):
    """How far is looked."""

    generations: int
    crashes: int = 0
    retries: int = 0
    purges: int = 0
    flags: int = 0
    reuses: int = 0


class Upload(NamedTuple):
    # none, renamed or found (in the bucket), unknown (committed, and nobody knows), done
    receiver: str = "none"
    found_at: Key | None = None  # where the bytes are, if not on the volume
    status: str = "none"
    generation: int = 0
    applied: int = 0
    attempts: int = 0
    lost: frozenset[int] = frozenset()  # generations counted because their lease was over
    exhausted: bool = False  # it failed for nothing but its attempts
    withheld: bool = False  # flagged, and not released
    acknowledged: bool = False
    kept: bool = True  # what the record says of the bytes
    file: bool = False  # what the volume says
    seq: int = 0
    condemned: bool = False  # its name, before there was a row
    orphan: str = ""  # how far the sweep is with a file without a row: seen, done
    retention: str = ""  # the same for bytes whose time is over


class Worker(NamedTuple):
    at: str = "idle"  # idle, working, put, sent (the answer was lost), refused
    upload: int = -1
    generation: int = 0


class State(NamedTuple):
    uploads: tuple[Upload, Upload] = (Upload(), Upload())
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    objects: frozenset[Key] = frozenset()
    doomed: frozenset[Key] = frozenset()
    seq: int = 0
    crashes: int = 0
    retries: int = 0
    purges: int = 0
    flags: int = 0
    reuses: int = 0

    def upload(self, i: int, **values: Any) -> "State":
        changed = self.uploads[i]._replace(**values)
        uploads = (changed, self.uploads[1]) if i == 0 else (self.uploads[0], changed)
        return State(uploads, *self[1:])  # twice as quick as to replace by name, and done most

    def worker(self, k: int, worker: Worker) -> "State":
        workers = (worker, self.workers[1]) if k == 0 else (self.workers[0], worker)
        return State(self.uploads, workers, *self[2:])


LIVE = ("staged", "processing", "rejected", "failed", "stored")
"""What can be replaced or removed."""


@dataclass(frozen=True)
class Protocol:
    rules: Rules
    bounds: Bounds

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Everything that may happen next."""
        for i in (0, 1):
            yield from self.receive(state, i)
            yield from self.sweep_orphan(state, i)
            yield from self.claim(state, i)
            yield from self.lose_lease(state, i)
            yield from self.pass_deadline(state, i)
            yield from self.retry(state, i)
            yield from self.end_retention(state, i)
            yield from self.unlink(state, i)
            yield from self.remove(state, i)
            yield from self.release(state, i)
        for k, worker in enumerate(state.workers):
            if worker.at != "idle":
                yield from self.work(state, k)
        yield from self.clean(state)
        yield from self.purge(state)

    # --- the api receives

    def receive(self, state: State, i: int) -> Iterator[Step[State]]:
        receiver = state.uploads[i].receiver
        if receiver == "none":
            yield f"receive {i}", state.upload(i, receiver="renamed", file=True)
            yield from self._find(state, i)
        elif receiver in ("renamed", "found"):
            yield f"acknowledge {i}", self._commit(state, i, known=True)
            yield f"commit {i}, answer lost", self._commit(state, i, known=False)
            yield f"api killed before the commit of {i}", state.upload(i, receiver="done")
        elif receiver == "unknown":
            # the client tries again with its key, and is answered with what was committed
            yield f"acknowledge {i} by its key", state.upload(i, receiver="done", acknowledged=True)
            if not self.rules.unknown_commit_keeps_file:
                yield f"unlink {i}, commit unknown", state.upload(i, file=False)

    def _find(self, state: State, i: int) -> Iterator[Step[State]]:
        """In place of bytes that come: those that the bucket has of the other upload."""
        other = state.uploads[1 - i]
        if self._can_be_reused(other) and state.reuses < self.bounds.reuses:
            found = state.upload(i, receiver="found", found_at=self._key(1 - i, other.applied))
            yield f"reuse {1 - i} as {i}", found._replace(reuses=state.reuses + 1)

    def _can_be_reused(self, upload: Upload) -> bool:
        return upload.status == "stored" and not upload.withheld

    def _commit(self, state: State, i: int, *, known: bool) -> State:
        rules = self.rules
        gone = state.uploads[i].found_at and not self._can_be_reused(state.uploads[1 - i])
        if gone and rules.reused_is_checked_at_the_commit:
            return state.upload(i, receiver="done")
        if rules.form_is_checked_at_the_commit and state.purges:
            return state.upload(i, receiver="done", file=False)
        if rules.orphan_is_condemned_first and state.uploads[i].condemned:
            return state.upload(i, receiver="done")
        seq = state.seq + 1
        after = state.upload(
            i,
            receiver="done" if known else "unknown",
            status="staged",
            acknowledged=known,
            seq=seq,
        )._replace(seq=seq)
        other = after.uploads[1 - i].status
        stored = other == "stored" and not rules.stored_is_not_replaced_at_acknowledgement
        waits = (
            other in ("staged", "processing", "rejected", "failed")
            and not rules.pending_is_not_replaced_at_acknowledgement
        )
        return self._end(after, 1 - i, "replaced") if stored or waits else after

    # --- a worker

    def claim(self, state: State, i: int) -> Iterator[Step[State]]:
        upload = state.uploads[i]
        if upload.status != "staged" or upload.generation == self.bounds.generations:
            return
        generation = upload.generation + 1
        for k, worker in enumerate(state.workers):
            if worker.at == "idle":
                claimed = state.upload(
                    i, status="processing", generation=generation, attempts=upload.attempts + 1
                )
                yield (
                    f"{k} claims {i}.{generation}",
                    claimed.worker(k, Worker("working", i, generation)),
                )

    def work(self, state: State, k: int) -> Iterator[Step[State]]:
        worker = state.workers[k]
        name = f"{worker.upload}.{worker.generation}"
        idle = state.worker(k, Worker())
        if state.crashes < self.bounds.crashes:
            yield f"{k} is killed", idle._replace(crashes=state.crashes + 1)
        key = self._key(worker.upload, worker.generation)
        if worker.at == "working":
            put = state._replace(objects=state.objects | {key})
            yield f"{k} puts {name}", put.worker(k, worker._replace(at="put"))
            if self._owns(state, worker):
                yield (
                    f"{k} rejects {name}",
                    self._end_unapplied(idle, worker.upload, "rejected", applied=True),
                )
                again = self._again(state.uploads[worker.upload])
                yield (
                    f"{k} gives {name} back: {again}",
                    self._end_unapplied(idle, worker.upload, again),
                )
        elif worker.at == "refused":
            yield f"{k} deletes {name}", idle._replace(objects=state.objects - {key})
        elif worker.at == "put" and self._owns(state, worker):
            stored = self._store(state, worker)
            yield f"{k} stores {name}", stored.worker(k, Worker())
            yield f"{k} stores {name}, answer lost", stored.worker(k, worker._replace(at="sent"))
            if state.flags < self.bounds.flags:
                kept = self._keep_flagged(state, worker)
                yield f"{k} stores {name} flagged", kept.worker(k, Worker())
        elif self._is_known(state, worker):
            yield f"{k} repeats {name}: known", idle
        else:
            heard = self._heard_of(state, worker)
            yield f"{k} is refused {name}", heard.worker(k, worker._replace(at="refused"))
            if heard != state or not self.rules.attempt_is_given_back_once:
                yield f"{k} is refused {name}, answer lost", heard

    def _owns(self, state: State, worker: Worker) -> bool:
        upload = state.uploads[worker.upload]
        processing = upload.status == "processing" or (
            not self.rules.outcome_needs_processing and upload.status not in ("replaced", "removed")
        )
        return upload.generation == worker.generation and processing

    def _is_known(self, state: State, worker: Worker) -> bool:
        upload = state.uploads[worker.upload]
        if self.rules.repeated_outcome_by_applied:
            return upload.applied == worker.generation and worker.at == "sent"
        return upload.status == "stored" and upload.generation == worker.generation

    def _heard_of(self, state: State, worker: Worker) -> State:
        """A worker whose lease was taken for lost lives: that was no attempt."""
        i, upload = worker.upload, state.uploads[worker.upload]
        revived = upload.status == "failed" and upload.exhausted and upload.kept
        goes_on = upload.status in ("staged", "processing") or revived
        if worker.generation not in upload.lost or not goes_on:
            return state
        once = self.rules.attempt_is_given_back_once
        lost = upload.lost - {worker.generation} if once else upload.lost
        state = state.upload(i, attempts=upload.attempts - 1, lost=lost)
        return state.upload(i, status="staged", exhausted=False) if revived else state

    def _store(self, state: State, worker: Worker) -> State:
        state = self._replace_older(state, worker.upload)
        return self._put_away(state, worker)

    def _keep_flagged(self, state: State, worker: Worker) -> State:
        if not self.rules.withheld_replaces_nothing:
            state = self._replace_older(state, worker.upload)
        state = self._put_away(state, worker).upload(worker.upload, withheld=True)
        return state._replace(flags=state.flags + 1)

    def _put_away(self, state: State, worker: Worker) -> State:
        i, generation = worker.upload, worker.generation
        return state.upload(i, status="stored", applied=generation, kept=False)

    def _replace_older(self, state: State, i: int) -> State:
        other = state.uploads[1 - i]
        older = other.seq < state.uploads[i].seq or not self.rules.only_older_is_replaced
        replaced = other.status in LIVE and older
        return self._end(state, 1 - i, "replaced") if replaced else state

    # --- the sweep, the person, the back end, the cleaning

    def sweep_orphan(self, state: State, i: int) -> Iterator[Step[State]]:
        upload = state.uploads[i]
        if upload.file and upload.status == "none" and not upload.orphan:
            condemned = self.rules.orphan_is_condemned_first
            yield f"sweep sees {i}", state.upload(i, orphan="seen", condemned=condemned)
        elif upload.orphan == "seen":
            yield f"sweep takes {i} away", state.upload(i, orphan="done", file=False)

    def lose_lease(self, state: State, i: int) -> Iterator[Step[State]]:
        upload = state.uploads[i]
        if upload.status == "processing":
            again, lost = self._again(upload), upload.lost | {upload.generation}
            after = self._end_unapplied(state, i, again).upload(
                i, lost=lost, exhausted=again == "failed"
            )
            yield f"lease of {i} is over: {again}", after

    def pass_deadline(self, state: State, i: int) -> Iterator[Step[State]]:
        if state.uploads[i].status == "staged":
            yield f"{i} is overdue", state.upload(i, status="failed")

    def retry(self, state: State, i: int) -> Iterator[Step[State]]:
        upload = state.uploads[i]
        bytes_are_there = upload.kept or not self.rules.bytes_are_condemned_first
        if (
            upload.status == "failed"
            and bytes_are_there
            and state.retries < self.bounds.retries
            and upload.generation < self.bounds.generations
        ):
            lost = frozenset() if self.rules.retry_forgets_lost_leases else upload.lost
            again = state.upload(i, status="staged", attempts=0, lost=lost, exhausted=False)
            yield f"retry {i}", again._replace(retries=state.retries + 1)

    def end_retention(self, state: State, i: int) -> Iterator[Step[State]]:
        upload = state.uploads[i]
        if upload.retention == "seen":  # without the rule: looked up, and then unlinked
            yield f"sweep unlinks {i} by its age", state.upload(i, retention="done", file=False)
        elif upload.status in ("failed", "rejected"):
            if not self.rules.bytes_are_condemned_first:
                if not upload.retention:
                    yield f"sweep finds {i} old", state.upload(i, retention="seen")
            elif upload.kept:
                yield f"sweep condemns the bytes of {i}", state.upload(i, kept=False)

    def unlink(self, state: State, i: int) -> Iterator[Step[State]]:
        upload = state.uploads[i]
        if upload.file and upload.status != "none" and not upload.kept:
            yield f"sweep unlinks {i}", state.upload(i, file=False)

    def remove(self, state: State, i: int) -> Iterator[Step[State]]:
        if state.uploads[i].status in LIVE:
            yield f"remove {i}", self._end(state, i, "removed")

    def release(self, state: State, i: int) -> Iterator[Step[State]]:
        upload = state.uploads[i]
        if upload.status == "stored" and upload.withheld:
            after = self._replace_older(state, i) if self.rules.release_replaces else state
            yield f"release {i}", after.upload(i, withheld=False)

    def purge(self, state: State) -> Iterator[Step[State]]:
        if state.purges < self.bounds.purges:
            after = state
            for i in (0, 1):
                if after.uploads[i].status in LIVE:
                    after = self._end(after, i, "removed")
            yield "purge", after._replace(purges=state.purges + 1)

    def clean(self, state: State) -> Iterator[Step[State]]:
        for key in state.doomed:
            may_put = any(
                worker.at in ("working", "put", "refused")
                and self._key(worker.upload, worker.generation) == key
                for worker in state.workers
            )
            spared = self.rules.reused_object_is_spared and any(
                upload.found_at == key and upload.status != "none" and upload.kept
                for upload in state.uploads
            )
            if not spared and not (may_put and self.rules.cleaning_waits):
                objects, doomed = state.objects - {key}, state.doomed - {key}
                yield f"clean {key}", state._replace(objects=objects, doomed=doomed)

    # --- what a transition does beside the status

    def _key(self, i: int, generation: int) -> Key:
        return (i, generation if self.rules.generation_in_key else 0)

    def _again(self, upload: Upload) -> str:
        return "staged" if upload.generation < self.bounds.generations else "failed"

    def _end_unapplied(self, state: State, i: int, to: str, *, applied: bool = False) -> State:
        generation = state.uploads[i].generation
        values = {"applied": generation} if applied else {}
        return self._doom(state, i).upload(i, status=to, **values)

    def _end(self, state: State, i: int, to: str) -> State:
        if state.uploads[i].status in ("processing", "stored"):
            state = self._doom(state, i)
        return state.upload(i, status=to, kept=False)

    def _doom(self, state: State, i: int) -> State:
        """The current generation. Earlier ones were doomed when they ended."""
        if not self.rules.ended_generation_is_doomed:
            return state
        return state._replace(doomed=state.doomed | {self._key(i, state.uploads[i].generation)})

    # --- the promises

    def broken(self, state: State) -> str | None:
        """Which promise is broken in this state."""
        for i in (0, 1):
            trouble = self._lost(state, i) or self._wronged(state, i) or self._miscounted(state, i)
            if trouble:
                return f"upload {i} {trouble}"
        if all(upload.status == "stored" and not upload.withheld for upload in state.uploads):
            return "two are stored in one slot"
        for worker in state.workers:
            applied = state.uploads[worker.upload].applied
            if worker.at == "refused" and worker.generation == applied:
                return "a worker was refused what it had stored"
        return None

    def _miscounted(self, state: State, i: int) -> str | None:
        upload = state.uploads[i]
        own = upload.status == "processing"  # the attempt under way
        if upload.attempts < own + len(upload.lost):
            return "was given an attempt back that was not counted"
        return None

    def _wronged(self, state: State, i: int) -> str | None:
        upload, other = state.uploads[i], state.uploads[1 - i]
        if upload.status == "replaced":
            if other.seq < upload.seq:
                return "was replaced by an older one"
            if not other.applied or other.status == "rejected":
                return "was replaced by one that was never stored"
            if other.withheld:
                return "was replaced by one that was never released"
        elif state.purges and upload.status not in ("none", "removed"):
            return f"is {upload.status} in a purged form"
        return None

    def _lost(self, state: State, i: int) -> str | None:
        upload = state.uploads[i]
        if upload.status == "stored" and self._key(i, upload.applied) not in state.objects:
            return "is stored, and its object is gone"
        there = upload.found_at in state.objects if upload.found_at else upload.file
        if not upload.acknowledged or there:
            return None
        if upload.status in ("none", "staged", "processing"):
            return f"was acknowledged, is {upload.status}, and its file is gone"
        if upload.status == "failed" and upload.kept:
            return "failed, and the bytes that were promised are gone"
        return None

    def left_over(self, state: State) -> str | None:
        """What nobody will ever take away, in a state after which nothing happens."""
        used = {
            self._key(i, u.applied) for i, u in enumerate(state.uploads) if u.status == "stored"
        }
        if state.objects - used:
            return f"orphaned objects {sorted(state.objects - used)}"
        for i, upload in enumerate(state.uploads):
            if upload.file and upload.status in ("none", "removed", "replaced", "stored"):
                return f"orphaned file of upload {i}"
        return None


class Explored(NamedTuple):
    walk: Walk[State]
    transitions: frozenset[tuple[str, str]]
    """Of statuses, from and to, that were met."""


def explore(rules: Rules, bounds: Bounds) -> Explored:
    """Walk through every state, nearest first, to one that breaks a promise."""
    protocol = Protocol(rules, bounds)

    def broken(state: State, steps: Sequence[Step[State]]) -> str | None:
        return protocol.broken(state) or (None if steps else protocol.left_over(state))

    walk = search(State(), protocol.steps, broken)
    transitions = {
        (old.status, new.status)
        for after, step in walk.came_from.items()
        if step
        for old, new in zip(step[1].uploads, after.uploads, strict=True)
        if old.status != new.status
    }
    return Explored(walk, frozenset(transitions))
