"""Two replicas of the api on one database and one volume, a bucket that is a set, and one form.

What can happen there is an `Operation`: what the api is asked, and what the reference says must
come of it.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select, update

from api.access.tokens import PERSON, Actor, ServiceKey
from api.forms import closing, sections
from api.receive.body import Body
from api.receive.files import Received
from api.records import cleaning, forms, segments, uploads
from api.records.rows import UploadRow
from api.records.tables import cleanings, events, staged_names
from api.records.tables import forms as form_table
from api.records.tables import segments as segment_table
from api.records.tables import uploads as upload_table
from api.services import Services
from api.staging.folders import INCOMING, QUARANTINE, SEGMENTS
from api.texts.errors import Problem
from api.uploads import outcomes, work
from api.uploads.acknowledge import acknowledge
from api.uploads.admission import Admission
from api.uploads.release import release
from api.uploads.resumable import Announced, append, begin, stand
from api.uploads.retry_or_remove import remove, retry
from api.uploads.reuse import reuse
from api.views.rows import form_view
from shared.ids import new_id
from shared.internal_api import Failed, Outcome, Rejected, Retry, Stored, StoredObject
from shared.keys import FLAGGED
from shared.status import TRANSITIONS, UploadStatus
from shared.volume import STAGED
from tests.protocol.reference import Prefix, Reference
from tests.support.commits import commits_that, held_before_the_commit
from tests.support.services import A_SHA, BACK_END, Scene, services_on
from tests.support.sql import execute, uploads_of
from tests.support.sql import rows_of as all_rows
from tests.support.sweeping import willing_sweep

HOURS = 36_000
FORM_TYPE = "flagging"
LONG_ENOUGH = 0.04
"""Seconds in which an operation that waits for nobody is over."""
AT_ONCE = 0.000001
ALL = 1_000
"""More prefixes than any run dooms."""
SETTINGS = {
    # Time passes when the test says so, and not by itself.
    "lease_seconds": HOURS,
    "heartbeat_seconds": 1,
    "work_seconds": HOURS,
    "first_backoff_seconds": HOURS,
    "max_backoff_seconds": HOURS,
    "max_attempts": Reference.MAX_ATTEMPTS,
    "orphan_seconds": AT_ONCE,
    "quarantine_seconds": AT_ONCE,
}
OUTCOMES = (
    *("stored", "rejected", "counted", "uncounted", "shutdown", "bytes-lost"),
    *("died", "flagged"),
)
UNKNOWN = ("unavailable", "killed")
"""Answers after which nobody knows what was committed."""


@dataclass
class Order:
    """A worker that holds, or once held, an upload."""

    upload_id: str
    claim_id: str
    generation: int
    prefix: str
    flagged_prefix: str | None
    reported: str | None = None

    @property
    def key(self) -> Prefix:
        return (self.upload_id, self.generation)


@dataclass(frozen=True)
class Operation:
    name: str
    do: Callable[[Services], Awaitable[str]]
    expect: Callable[[Reference], str]
    is_sweep: bool = False
    """It goes over many rows, each in a transaction of its own, and again the next time."""
    is_repeated: bool = False
    """Who gets no answer asks again."""
    is_looked_up: bool = False
    """A commit without an answer is looked up, and answered after all."""
    preempts: bool = False
    """Of two of these at once the older one may be told to come back, with nothing done."""


class House:
    def __init__(self, replicas: tuple[Services, Services]) -> None:
        self.replicas = replicas
        self.scene = Scene.__new__(Scene)
        self.forget()

    def forget(self) -> None:
        self.reference = Reference()
        self.bucket: set[Prefix] = set()
        self.received: dict[str, tuple[Received, bytes]] = {}
        """Durable on the volume, and acknowledged by nobody yet."""
        self.abandoned: set[str] = set()
        """On the volume, and nobody knows whether they are somebody's."""
        self._claims = 0
        self.orders: list[Order] = []
        self.finished: list[Order] = []

    async def move_in(self) -> None:
        """Begin anew: no rows, no files, one form."""
        self.forget()
        services = self.replicas[0]
        tables = (form_table, cleanings, staged_names)  # uploads and events go with forms
        await execute(services.database, *(delete(table) for table in tables))
        for folder in (INCOMING, SEGMENTS, STAGED, QUARANTINE):
            for file in (services.settings.staging_dir / folder).iterdir():
                file.unlink()
        self.scene = await Scene.create(services, FORM_TYPE)

    # --- how something is done

    async def carry_out(
        self, operation: Operation, replica: int, fault: str | None, *, check: bool = True
    ) -> None:
        """Do it, and hold answer and records against the reference."""
        services = self.replicas[replica]
        with commits_that(fault) as fired:
            answer = await answer_of(operation, services)
        if not fired or (fault == "is answered too late" and operation.is_looked_up):
            assert answer == operation.expect(self.reference), (
                operation.name,
                answer,
                fault,
                fired,
            )
        elif fault in ("is answered too late", "is followed by a kill"):
            assert answer in {*UNKNOWN, operation.expect(self.reference)}, operation.name
        elif not operation.is_sweep:
            assert answer in UNKNOWN, operation.name
        if fired and (operation.is_sweep or operation.is_repeated):
            answer = await answer_of(operation, services)
            assert answer == operation.expect(self.reference), f"{operation.name}, again"
        if check:
            await self.check()

    async def carry_out_both(self, first: Operation, second: Operation) -> None:
        """Do both at once: it must be as if one had come after the other."""
        answers = await asyncio.gather(
            answer_of(first, self.replicas[0]), answer_of(second, self.replicas[1])
        )
        for operation in (first, second):
            if operation.is_sweep:  # what another transaction held is the next sweep's
                await answer_of(operation, self.replicas[0])
        found = await self.rows()
        tried = []
        for order in ((first, second), (second, first)):
            reference = copy.deepcopy(self.reference)
            expected = {each.name: each.expect(reference) for each in order}
            for each in order:
                if each.is_sweep:
                    each.expect(reference)
            outcome = (expected[first.name], expected[second.name], rows_of(reference))
            tried.append(outcome)
            if outcome == (*answers, found):
                self.reference = reference
                await self.check()
                return
        raise AssertionError(f"{first.name} | {second.name}: {answers}, {found}; either of {tried}")

    async def carry_out_behind(self, first: Operation, second: Operation) -> None:
        """Begin the second while the first has done everything but commit: where they meet it must
        wait, and then do as if the first had long been over. The first has to be one transaction:
        between two of them the second may rightly come."""
        with held_before_the_commit() as (held, go_on):
            leading = asyncio.create_task(answer_of(first, self.replicas[0]))
            holding = asyncio.create_task(held.wait())
            await asyncio.wait([leading, holding], return_when=asyncio.FIRST_COMPLETED)
            holding.cancel()
            following = asyncio.create_task(answer_of(second, self.replicas[1]))
            await asyncio.wait([following], timeout=LONG_ENOUGH)
            overtook = following.done() and not leading.done()
            go_on.set()
            answers = [await leading, await following]
        order = [first, second]
        if overtook:
            order.reverse()
            answers.reverse()
        assert [each.expect(self.reference) for each in order] == answers, order
        for each in order:
            if each.is_sweep:
                assert await answer_of(each, self.replicas[0]) == "ok"
                each.expect(self.reference)
        await self.check()

    # --- what can be done

    async def receive(self, content: bytes) -> None:
        """Bytes come in, and are durable; nothing is acknowledged."""
        received = await self.scene.received(content)
        self.received[received.staged.name] = (received, content)

    def acknowledge(self, field: str, key: str | None = None) -> Operation:
        """Of the bytes that came in last."""
        name, (received, content) = self.received.popitem()
        self.abandoned.add(name)  # until it has a row

        async def do(services: Services) -> str:
            row = await acknowledge(
                services,
                self.scene.form.id,
                services.form_types[FORM_TYPE].file_fields[field],
                received,
                request_id="req",
                key=key,
            )
            return row.id

        return Operation(
            f"acknowledge {name} for {field}, key {key}",
            do,
            lambda reference: reference.acknowledge(name, field, content, key),
            is_looked_up=key is None,  # with one it may be an earlier upload's
        )

    def begin(self, field: str, content: bytes) -> Operation:
        """A resumable upload of these bytes."""
        name = new_id("upl")

        async def do(services: Services) -> str:
            form = await services.database.scan(forms.get, self.scene.form.id)
            if form is None or form.status == forms.PURGING:
                raise Problem("not-found")
            target = services.form_types[FORM_TYPE].file_fields[field]
            admission = Admission(services, form, target, request_id="req")
            admission.upload_id = name
            return (await begin(services, admission, Announced(len(content)))).id

        return Operation(
            f"begin {name} for {field}",
            do,
            lambda reference: reference.begin(name, field, content),
        )

    def send(self, upload_id: str, count: int, *, wrong_by: int = 0) -> Operation:
        """Bytes of a resumable upload, from where it stands now, or beside that."""
        upload = self.reference.uploads[upload_id]
        at = len(upload.content) if upload.received is None else upload.received
        piece, offset = upload.content[at : at + count], at + wrong_by

        async def do(services: Services) -> str:
            row = await append(services, upload_id, offset, lambda _: body_of(piece))
            return str(row.size if row.received is None else row.received)

        return Operation(
            f"send {len(piece)} of {upload_id} at {offset}",
            do,
            lambda reference: reference.send(upload_id, offset, len(piece)),
            preempts=True,
        )

    def stand(self, upload_id: str) -> Operation:
        async def do(services: Services) -> str:
            row = await stand(services, upload_id)
            return str(row.size if row.received is None else row.received)

        return Operation(
            f"ask where {upload_id} stands",
            do,
            lambda reference: reference.stand(upload_id),
            preempts=True,
        )

    def new_claim(self) -> str:
        self._claims += 1
        return f"claim-{self._claims:04}"

    def claim(self, upload_id: str, claim_id: str) -> Operation:
        async def do(services: Services) -> str:
            order = await work.claim(services, upload_id, claim_id)
            taken = Order(
                upload_id, claim_id, order.generation, order.key_prefix, order.flagged_prefix
            )
            if all(taken.key != each.key for each in self.orders):
                self.orders.append(taken)
            return str(order.generation)

        return Operation(
            f"claim {upload_id} as {claim_id}",
            do,
            lambda reference: reference.claim(upload_id, claim_id),
            is_repeated=True,
        )

    def heartbeat(self, order: Order, stage: str) -> Operation:
        async def do(services: Services) -> str:
            await work.heartbeat(services, order.upload_id, order.generation, stage)
            return "ok"

        return Operation(
            f"heartbeat {order.key}",
            do,
            lambda reference: reference.heartbeat(order.upload_id, order.generation),
        )

    def report(self, order: Order, outcome: str) -> Operation:
        outcome = order.reported or outcome  # what was said once is said again
        order.reported = outcome

        async def do(services: Services) -> str:
            if order in self.orders and outcome in ("stored", "flagged"):
                self.bucket.add(where(order.key, flagged=outcome == "flagged"))
            try:
                row = await outcomes.apply(services, self.scene.form.id, outcome_of(order, outcome))
            except Problem as problem:
                if problem.code in ("stale-generation", "not-found"):
                    self.bucket -= {order.key, where(order.key, flagged=True)}
                    self._ends(order)
                raise
            self._ends(order)
            return row.status.value

        return Operation(
            f"report {outcome} of {order.key}",
            do,
            lambda reference: reference.report(order.upload_id, order.generation, outcome),
            is_repeated=True,
        )

    def _ends(self, order: Order) -> None:
        if order in self.orders:
            self.orders.remove(order)
            self.finished.append(order)

    def remove(self, upload_id: str, *, always: bool) -> Operation:
        async def do(services: Services) -> str:
            row = await self._row(upload_id)
            await remove(services, row, by=_actor(always=always))
            return "ok"

        return Operation(
            f"remove {upload_id}, always {always}",
            do,
            lambda reference: reference.remove(upload_id, always=always),
        )

    def retry(self, upload_id: str, *, always: bool) -> Operation:
        async def do(services: Services) -> str:
            row = await self._row(upload_id)
            await retry(services, row, by=_actor(always=always))
            return "ok"

        return Operation(
            f"retry {upload_id}, always {always}",
            do,
            lambda reference: reference.retry(upload_id, always=always),
        )

    def release(self, upload_id: str) -> Operation:
        async def do(services: Services) -> str:
            await release(services, await self._row(upload_id), by=ServiceKey("backend"))
            return "ok"

        return Operation(f"release {upload_id}", do, lambda reference: reference.release(upload_id))

    async def _row(self, upload_id: str) -> UploadRow:
        """As a route finds it before the use case locks anything."""
        row = await self.replicas[0].database.scan(uploads.get, upload_id)
        if row is None:
            raise Problem("not-found")
        return row

    def reuse(self, from_id: str, field: str) -> Operation:
        """As a route does, which looks at the form before."""
        name = new_id("upl")
        earlier = self.reference.uploads.get(from_id)
        if earlier and earlier.status != "stored":  # of a stored one nothing is on the volume
            self.abandoned.add(name)  # until it has a row

        async def do(services: Services) -> str:
            form = await services.database.scan(forms.get, self.scene.form.id)
            if form is None or form.status == forms.PURGING:
                raise Problem("not-found")
            target = services.form_types[FORM_TYPE].file_fields[field]
            admission = Admission(services, form, target, request_id="req")
            admission.upload_id = name
            return (await reuse(services, admission, from_id)).id

        return Operation(
            f"reuse {from_id} as {name} for {field}",
            do,
            lambda reference: reference.reuse(name, from_id, field, stored_as=b"object"),
            is_looked_up=True,
        )

    def save(self, note: str) -> Operation:
        return self._edit(sections.Edits(text={"note": note}), lambda r: r.save(note))

    def clear(self, field: str) -> Operation:
        return self._edit(sections.Edits(cleared=[field]), lambda r: r.clear(field))

    def _edit(self, edits: sections.Edits, expect: Callable[[Reference], str]) -> Operation:
        async def do(services: Services) -> str:
            await sections.save(services, self.scene.form, edits, if_match=None, request_id="req")
            return "ok"

        return Operation(f"save {edits}", do, expect)

    def submit(self) -> Operation:
        async def do(services: Services) -> str:
            await closing.submit(services, self.scene.form)
            return "ok"

        return Operation("submit", do, lambda reference: reference.submit())

    def purge(self, *, always: bool) -> Operation:
        async def do(services: Services) -> str:
            await closing.purge(services, self.scene.form, by=_actor(always=always))
            return "ok"

        return Operation(
            f"purge, always {always}", do, lambda reference: reference.purge(always=always)
        )

    def clean(self, *, confirmed: bool) -> Operation:
        """A worker empties the prefixes that are due; it may be killed before it says so."""

        async def do(services: Services) -> str:
            ordered = await services.database.write(cleaning.claim, ALL)
            for each in ordered:
                self.bucket.discard(prefix_of(each.prefix))
                for _ in range(2 if confirmed else 0):  # the first answer was lost
                    await services.database.write(cleaning.confirm, each.id, each.passes)
            return "ok"

        return Operation(
            f"clean, confirmed {confirmed}",
            do,
            lambda reference: reference.clean(confirmed=confirmed),
            is_sweep=True,
        )

    def sweep(self, step: str) -> Operation:
        """One step of the sweep."""
        unowned = set(self.received) | self.abandoned
        expects: dict[str, Callable[[Reference], str]] = {
            "take_back_lost_leases": lambda r: r.take_back(),
            "fail_overdue": lambda r: r.fail_overdue(),
            "expire_abandoned": lambda r: r.expire_abandoned(),
            "drop_old_bytes": lambda r: r.drop_old_bytes(),
            "purge_old_forms": lambda r: r.purge_old_forms(),
            "clear_volume": lambda r: r.clear_volume(unowned),
            "quarantine_orphans": lambda r: r.quarantine_orphans(unowned),
            "forget_done": lambda r: r.forget_done(),
            "erase_purged": lambda r: r.erase(),
        }

        async def do(services: Services) -> str:
            sweep = willing_sweep(services)
            steps = (*sweep._steps(), sweep.clearing.quarantine_orphans)
            await {each.__name__: each for each in steps}[step]()
            return "ok"

        return Operation(f"sweep: {step}", do, expects[step], is_sweep=True)

    # --- time

    async def pass_time(self, what: str) -> None:
        match what:
            case "backoffs":
                await self.scene.set_all(next_attempt_at=0)
            case "leases":
                await self.scene.set_all(lease_until=1)
            case "deadlines":
                await self.scene.set_all(deadline=1)
            case "retentions":
                await self._let_all_be_old()
            case "work and a day":  # no worker puts any more
                self.orders.clear()
                await self.let_cleanings_be_due()
        for upload in self.reference.uploads.values():
            upload.due |= what == "backoffs"
            upload.lease_over |= what == "leases"
            upload.overdue |= what == "deadlines"
            upload.old |= what == "retentions" and upload.status in ("rejected", "failed")
        self.reference.abandoned |= what == "retentions"

    async def _let_all_be_old(self) -> None:
        settled = upload_table.c.status.in_(("rejected", "failed"))
        await execute(
            self.replicas[0].database,
            update(form_table).values(edited_at=1),
            update(upload_table).where(settled).values(updated_at=1),
        )

    async def let_cleanings_be_due(self) -> None:
        """Of prefixes that nobody puts to any more."""
        await execute(self.replicas[0].database, update(cleanings).values(not_before=0))
        for doomed in self.reference.doomed.values():
            doomed.due |= doomed.passes < 2

    # --- what must hold

    async def rows(self) -> dict[str, object]:
        """What the records say, in the reference's words."""
        database, form_id = self.replicas[0].database, self.scene.form.id
        form = await database.read(forms.get, form_id)
        found = await database.read(uploads_of, form_id)
        doomed = await all_rows(database, select(cleanings.c.prefix, cleanings.c.passes))
        return {
            "form": (form.status, form.data.get("note")) if form else ("erased", None),
            "uploads": [
                (
                    *(row.id, row.status.value, row.generation, row.applied_generation),
                    *(row.attempts, row.bytes, row.claim_id, row.key),
                    *(row.decoder_deaths, row.status is UploadStatus.STORED and row.withheld),
                    row.received,
                )
                for row in found
            ],
            "doomed": {prefix_of(row.prefix): row.passes for row in doomed},
        }

    async def check(self) -> None:
        """Records, volume and bucket are what they must be."""
        assert await self.rows() == rows_of(self.reference)
        self._check_volume()
        await self._check_segments()
        mine = self.reference.uploads.values()
        stored = {
            where((each.id, each.applied), flagged=each.flagged)
            for each in mine
            if each.status == "stored"
        }
        owned = {(each.id, each.generation) for each in mine if each.status == "processing"}
        assert stored <= self.bucket, "a stored upload has no object"
        stale = {each.key for each in self.orders}
        deleted = owned | stale | {prefix for prefix, _ in self.reference.doomed}
        deleted |= {where(prefix, flagged=True) for prefix in deleted}
        assert self.bucket <= stored | deleted, "an object that nobody will delete"
        database, form_id = self.replicas[1].database, self.scene.form.id
        form = await database.read(forms.get, form_id)
        found = await database.read(uploads_of, form_id)
        history = await all_rows(database, select(events).order_by(events.c.id))
        if form and form.status != forms.PURGING:
            view = form_view(self.replicas[0].form_types[FORM_TYPE], form, found, "http://api")
            self._check_values(view.data, found)
        last: dict[str | None, str] = {}
        assert [each.version for each in history] == sorted({each.version for each in history})
        for event in history:
            if event.upload_id:
                before = last.get(event.upload_id)
                assert event.from_status == before
                if before and before != event.to_status:
                    assert UploadStatus(event.to_status) in TRANSITIONS[UploadStatus(before)]
                last[event.upload_id] = event.to_status
        assert last == {row.id: row.status for row in found}

    def _check_volume(self) -> None:
        volume = self.replicas[0].settings.staging_dir
        there = {path.name: path for path in (volume / STAGED).iterdir()}
        mine = self.reference.uploads
        for upload in mine.values():
            if upload.found_at:
                prefix, flagged = upload.found_at
                assert upload.id not in there
                assert upload.bytes != "kept" or where(prefix, flagged=flagged) in self.bucket
            elif upload.bytes == "kept" and upload.status != "receiving":
                assert there[upload.id].read_bytes() == upload.content
            elif upload.bytes == "gone":
                assert upload.id not in there
        for name in set(self.received) - self.reference.condemned:
            assert name in there, "received, not condemned, and gone"
        assert set(there) <= set(mine) | set(self.received) | self.abandoned
        assert list((volume / INCOMING).iterdir()) == []

    async def _check_segments(self) -> None:
        """What was acknowledged of a resumable upload is there, and is what was sent."""
        folder = self.replicas[0].settings.staging_dir / SEGMENTS
        for upload in self.reference.uploads.values():
            if upload.status == "receiving":
                rows = await self.replicas[0].database.read(segments.of_upload, upload.id)
                here = b"".join((folder / row.name).read_bytes()[: row.size] for row in rows)
                assert here == upload.content[: upload.received], upload.id

    def _check_values(self, data: dict[str, object], rows: list[UploadRow]) -> None:
        urls = {
            row.id: row.public_url
            for row in rows
            if row.status is UploadStatus.STORED and not self.reference.uploads[row.id].withheld
        }
        of_field = {
            name: [urls[row.id] for row in rows if row.id in urls and row.field == name]
            for name in ("needed", "pair")
        }
        assert len(of_field["needed"]) <= 1
        assert data.get("needed") == (of_field["needed"] or [None])[0]
        assert data.get("pair", []) == of_field["pair"]
        for row in rows:
            if row.id in urls:
                assert f"/{row.id}.{row.applied_generation}/" in (row.public_url or "")

    # --- the end

    async def come_to_rest(self) -> None:
        """All workers die, all that is left is driven on by fresh ones: nothing is stuck."""
        self.finished += self.orders
        self.orders.clear()
        for _ in range(20):
            for what in ("leases", "backoffs"):
                await self.pass_time(what)
            await self.just_do(self.sweep("take_back_lost_leases"))
            waiting = [u.id for u in self.reference.uploads.values() if u.status == "staged"]
            if not waiting:
                break
            for upload_id in waiting:
                if self.reference.uploads[upload_id].status == "staged":  # else just replaced
                    await self.pass_time("backoffs")
                    await self.just_do(self.claim(upload_id, self.new_claim()))
                    await self.just_do(self.report(self.orders[0], "stored"))
        await self.pass_time("deadlines")
        await self.just_do(self.sweep("expire_abandoned"))
        assert all(
            u.status not in ("receiving", "staged", "processing")
            for u in self.reference.uploads.values()
        )
        await self.check()

    async def just_do(self, operation: Operation) -> None:
        await self.carry_out(operation, 0, None, check=False)

    async def move_out(self) -> None:
        """Purge the form: nothing at all is left of it."""
        if self.reference.status in ("draft", "submitted"):
            await self.just_do(self.purge(always=True))
        for _ in range(2):
            await self.pass_time("work and a day")
            await self.just_do(self.clean(confirmed=True))
            await self.just_do(self.sweep("clear_volume"))
            await self.just_do(self.sweep("erase_purged"))
            await self.just_do(self.sweep("forget_done"))
        database = self.replicas[0].database
        for table in (form_table, upload_table, events, cleanings, segment_table):
            assert await all_rows(database, select(table)) == [], table.name
        owned = select(staged_names).where(staged_names.c.condemned.is_(False))
        assert await all_rows(database, owned) == []
        volume = self.replicas[0].settings.staging_dir
        for folder in (INCOMING, SEGMENTS, STAGED, QUARANTINE):
            assert list((volume / folder).iterdir()) == []
        assert self.bucket == set()


@asynccontextmanager
async def house_on(folder: Path, database_url: str) -> AsyncIterator[House]:
    async with (
        services_on(folder, database_url, **SETTINGS) as one,
        services_on(folder, database_url, **SETTINGS) as other,
    ):
        yield House((one, other))


class _Piece(Body):
    """A body that was read already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


def body_of(content: bytes) -> Body:
    return _Piece(content)


async def answer_of(operation: Operation, services: Services) -> str:
    try:
        return await operation.do(services)
    except Problem as problem:
        return problem.code
    except asyncio.CancelledError:
        return "killed"


def rows_of(reference: Reference) -> dict[str, object]:
    return {
        "form": (reference.status, reference.note),
        "uploads": [
            (
                *(each.id, each.status, each.generation, each.applied),
                *(each.attempts, each.bytes, each.claim_id, each.key),
                *(each.deaths, each.withheld, each.received),
            )
            for each in reference.uploads.values()
        ],
        "doomed": {
            where(prefix, flagged=flagged): each.passes
            for (prefix, flagged), each in reference.doomed.items()
        },
    }


def prefix_of(text: str) -> Prefix:
    upload_id, _, generation = text.rstrip("/").rpartition("/")[2].rpartition(".")
    return where((upload_id, int(generation)), flagged=text.startswith(FLAGGED))


def where(prefix: Prefix, *, flagged: bool) -> Prefix:
    """The same generation's, for what is kept and flagged."""
    return (FLAGGED + prefix[0], prefix[1]) if flagged else prefix


def outcome_of(order: Order, outcome: str) -> Outcome:
    ids = {"upload_id": order.upload_id, "generation": order.generation}
    match outcome:
        case "stored":
            key = f"{order.prefix}object.png"
            described = StoredObject(key=key, content_type="image/png", size=6, sha256=A_SHA)
            return Stored.model_validate({**ids, "object": described})
        case "flagged":
            described = StoredObject(
                key=f"{order.flagged_prefix}object.png",
                content_type="image/png",
                size=6,
                sha256=A_SHA,
            )
            flag = {"code": "image-too-small"}
            return Stored.model_validate({**ids, "object": described, "flags": [flag]})
        case "rejected":
            return Rejected.model_validate({**ids, "code": "file-corrupt"})
        case "bytes-lost":
            return Failed.model_validate({**ids, "code": "bytes-lost"})
        case _:
            cause = {"shutdown": "shutdown", "died": "decoder"}.get(outcome, "store")
            counted = outcome in ("counted", "died")
            return Retry.model_validate({**ids, "cause": cause, "counted": counted})


def _actor(*, always: bool) -> Actor:
    """Who may change a form even when it was sent is the back end."""
    return BACK_END if always else PERSON
