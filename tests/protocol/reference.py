"""What the records must say after each operation: the protocol's rules in plain Python.

Each method is one operation. It returns the answer that the api must give, which is the code of the
problem where it refuses, and changes what the reference says of the form.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

TERMINAL = ("replaced", "removed", "expired")
PENDING = ("receiving", "staged", "processing")

Prefix = tuple[str, int]
"""Upload and generation."""
Place = tuple[Prefix, bool]
"""The same, and whether it is the one for what is kept and flagged."""


@dataclass
class Upload:
    id: str
    field: str
    content: bytes
    key: str | None
    status: str = "staged"
    received: int | None = None
    """Acknowledged bytes of a resumable one, of all its `content`."""
    bytes: str = "kept"
    generation: int = 0
    applied: int = 0
    claim_id: str | None = None
    attempts: int = 0
    backoffs: int = 0
    lost: list[int] = dataclasses.field(default_factory=list)
    """Generations whose lost lease was counted as an attempt."""
    exhausted: bool = False
    """It failed for nothing but its attempts."""
    deaths: int = 0
    """Decoders that died of it."""
    flagged: bool = False
    released: bool = False
    due: bool = True
    overdue: bool = False
    lease_over: bool = False
    found_at: Place | None = None
    """Where in the bucket the bytes are; None where they are on the volume."""
    old: bool = False
    """It settled so long ago that its bytes aren't kept any more."""

    @property
    def slot(self) -> str:
        return self.id if self.field == "pair" else self.field

    @property
    def withheld(self) -> bool:
        """Stored, and no value of its field until it is released."""
        return self.status == "stored" and self.flagged and not self.released

    @property
    def final(self) -> bool:
        return self.status in TERMINAL


@dataclass
class Doomed:
    passes: int = 0
    due: bool = False


@dataclass
class Reference:
    """One form."""

    MAX_ATTEMPTS: ClassVar[int] = 2
    MAX_DEATHS: ClassVar[int] = 2
    PAIR: ClassVar[int] = 2

    status: str = "draft"
    note: str | None = None
    abandoned: bool = False
    """Nobody edited it for as long as a draft is kept."""
    uploads: dict[str, Upload] = field(default_factory=dict)
    """In the order of their acknowledgement."""
    doomed: dict[Place, Doomed] = field(default_factory=dict)
    condemned: set[str] = field(default_factory=set)
    """Names of files that the sweep took for orphans."""

    # --- the person

    def acknowledge(self, upload_id: str, field: str, content: bytes, key: str | None) -> str:
        if refusal := self._closed():
            return refusal
        for other in self.uploads.values():
            if key and (other.field, other.key) == (field, key):
                return other.id if other.content == content else "key-reused"
        if not self._has_room(field):
            return "too-many-files"
        if upload_id in self.condemned:
            return "unavailable"
        self._add(Upload(upload_id, field, content, key))
        return upload_id

    def begin(self, upload_id: str, field: str, content: bytes) -> str:
        """A resumable upload, of which nothing has come."""
        if refusal := self._closed():
            return refusal
        if not self._has_room(field):
            return "too-many-files"
        begun = Upload(upload_id, field, content, None, status="receiving", received=0)
        self.uploads[upload_id] = begun
        self.abandoned = False
        return upload_id

    def send(self, upload_id: str, offset: int, count: int) -> str:
        """So many bytes more; the last one makes it staged."""
        if refusal := self._over(upload_id):
            return refusal
        upload = self.uploads[upload_id]
        received = len(upload.content) if upload.received is None else upload.received
        if received != offset:
            return "wrong-offset"
        if upload.status == "receiving" and count:
            upload.received, upload.overdue = received + count, False
            if upload.received == len(upload.content):
                upload.status = "staged"
                self._add(self.uploads.pop(upload_id))
        return self.stand(upload_id)

    def stand(self, upload_id: str) -> str:
        if refusal := self._over(upload_id):
            return refusal
        received = self.uploads[upload_id].received
        return str(len(self.uploads[upload_id].content) if received is None else received)

    def reuse(self, name: str, from_id: str, field: str, stored_as: bytes) -> str:
        """`name` is what the new upload is called; a stored one has become `stored_as`."""
        if refusal := self._closed():
            return refusal
        earlier = self.uploads[from_id]
        # the damaged are the only rejected ones here
        usable = earlier.status == "stored" or (
            earlier.status in ("staged", "processing") and earlier.bytes == "kept"
        )
        if not usable or earlier.withheld:
            return "upload-not-reusable"
        content, found_at = earlier.content, earlier.found_at
        if earlier.status == "stored":
            content, found_at = stored_as, ((from_id, earlier.applied), earlier.flagged)
        answer = self.acknowledge(name, field, content, None)
        if answer == name:
            self.uploads[name].found_at = found_at
        return answer

    def save(self, note: str) -> str:
        if refusal := self._closed():
            return refusal
        self.note = note
        self.abandoned = False
        return "ok"

    def clear(self, field: str) -> str:
        if refusal := self._closed():
            return refusal
        for upload in self._of(field):
            self._end(upload, "removed")
        self.abandoned = False
        return "ok"

    def remove(self, upload_id: str, *, always: bool) -> str:
        if refusal := self._closed(always=always):
            return refusal
        upload = self.uploads[upload_id]
        if not upload.final:
            self._end(upload, "removed")
            self.abandoned = False
        return "ok"

    def retry(self, upload_id: str, *, always: bool) -> str:
        if refusal := self._closed(always=always):
            return refusal
        upload = self.uploads[upload_id]
        if (upload.status, upload.bytes) != ("failed", "kept"):
            return "not-failed"
        upload.status, upload.attempts, upload.due, upload.overdue = "staged", 0, True, False
        upload.old = self.abandoned = False
        upload.backoffs, upload.lost, upload.exhausted = 0, [], False
        upload.deaths = 0
        return "ok"

    def release(self, upload_id: str) -> str:
        if refusal := self._closed(always=True):
            return refusal
        upload = self.uploads[upload_id]
        if upload.status != "stored" or not upload.flagged:
            return "not-flagged"
        if upload.withheld:
            self._replace_older(upload)
            upload.released = True
        return "ok"

    def submit(self) -> str:
        if refusal := self._closed():
            return refusal
        slots: dict[str, list[Upload]] = {}
        for upload in self.uploads.values():
            if not upload.final:
                slots.setdefault(upload.slot, []).append(upload)
        for of_slot in slots.values():
            statuses = [upload.status for upload in of_slot]
            waits = any(status in PENDING for status in statuses)
            hopeless = statuses[-1] == "rejected" and "stored" not in statuses
            if statuses[-1] in PENDING or (waits and hopeless):
                return "uploads-pending"
        needed = [upload.status for upload in slots.get("needed", [])]
        if "stored" not in needed and needed[-1:] != ["failed"]:
            return "form-incomplete"
        for upload in self.uploads.values():
            if upload.status == "receiving":
                self._end(upload, "expired")
        self.status = "submitted"
        return "ok"

    def purge(self, *, always: bool) -> str:
        if refusal := self._closed(always=always):
            return refusal
        self._purge()
        return "ok"

    # --- a worker

    def claim(self, upload_id: str, claim_id: str) -> str:
        upload = self.uploads.get(upload_id)
        if upload is None:
            return "not-found"
        if upload.status == "processing":
            return str(upload.generation) if upload.claim_id == claim_id else "upload-held"
        if upload.status != "staged":
            return "upload-final"
        if not upload.due:
            return "upload-not-due"
        upload.status, upload.claim_id, upload.lease_over = "processing", claim_id, False
        upload.generation += 1
        upload.attempts += 1
        return str(upload.generation)

    def heartbeat(self, upload_id: str, generation: int) -> str:
        if not self._owns(upload_id, generation):
            self._heard_of(upload_id, generation)
            return "stale-generation"
        self.uploads[upload_id].lease_over = False
        return "ok"

    def report(self, upload_id: str, generation: int, outcome: str) -> str:
        upload = self.uploads.get(upload_id)
        if upload is None:
            return "not-found"
        if upload.applied == generation:
            return upload.status
        if not self._owns(upload_id, generation):
            self._heard_of(upload_id, generation)
            return "stale-generation"
        upload.deaths += outcome == "died"
        if outcome == "stored":
            self._replace_older(upload)
            self._put_away(upload)
        elif outcome == "flagged":
            upload.flagged = True
            self._put_away(upload)
        elif outcome == "rejected" or upload.deaths == self.MAX_DEATHS:
            self._reject(upload)
        elif outcome == "shutdown":
            self._end_unapplied(upload, "staged")
            upload.attempts -= 1
        else:
            self._give_back(upload, counted=outcome in ("counted", "died"), applied=generation)
        return upload.status

    def clean(self, *, confirmed: bool) -> str:
        for place, doomed in self.doomed.items():
            if doomed.due and not self._spares(place):
                doomed.passes, doomed.due = doomed.passes + confirmed, False
        return "ok"

    # --- the sweep

    def take_back(self) -> str:
        for upload in self.uploads.values():
            if upload.status == "processing" and upload.lease_over:
                if upload.backoffs < self.MAX_ATTEMPTS:
                    upload.lost.append(upload.generation)
                self._give_back(upload, counted=True)
        return "ok"

    def fail_overdue(self) -> str:
        for upload in self.uploads.values():
            if upload.status == "staged" and upload.overdue:
                upload.status = "failed"
        return "ok"

    def expire_abandoned(self) -> str:
        for upload in self.uploads.values():
            if upload.status == "receiving" and upload.overdue:
                self._end(upload, "expired")
        return "ok"

    def drop_old_bytes(self) -> str:
        for upload in self.uploads.values():
            if upload.old and upload.status in ("rejected", "failed") and upload.bytes == "kept":
                upload.bytes = "condemned"
        return "ok"

    def purge_old_forms(self) -> str:
        waits = any(upload.status in PENDING for upload in self.uploads.values())
        if self.status == "draft" and self.abandoned and not waits:
            self._purge()
        return "ok"

    def clear_volume(self, received: set[str]) -> str:
        """`received` are the files that no upload owns."""
        for upload in self.uploads.values():
            if upload.bytes == "condemned":
                upload.bytes = "gone"
        return self.quarantine_orphans(received)

    def quarantine_orphans(self, received: set[str]) -> str:
        self.condemned |= received - set(self.uploads)
        return "ok"

    def forget_done(self) -> str:
        self.doomed = {place: each for place, each in self.doomed.items() if each.passes < 2}
        return "ok"

    def erase(self) -> str:
        bytes_left = any(upload.bytes != "gone" for upload in self.uploads.values())
        objects_left = any(each.passes == 0 for each in self.doomed.values())
        if self.status == "purging" and not bytes_left and not objects_left:
            self.status = "erased"
            self.uploads = {}
        return "ok"

    # --- what follows

    def _has_room(self, field: str) -> bool:
        taken = [u for u in self._of(field) if u.status != "rejected"]
        return field != "pair" or len(taken) < self.PAIR

    def _add(self, upload: Upload) -> None:
        """As the newest, by its acknowledgement."""
        for older in self.uploads.values():
            if (older.slot, older.status, older.bytes) == (upload.slot, "rejected", "kept"):
                older.bytes = "condemned"
        self.uploads[upload.id] = upload
        self.abandoned = False

    def _over(self, upload_id: str) -> str | None:
        """Why nothing is to be sent of it."""
        if upload_id not in self.uploads or self.status in ("purging", "erased"):
            return "not-found"
        return "upload-gone" if self.uploads[upload_id].status in (*TERMINAL, "rejected") else None

    def _spares(self, place: Place) -> bool:
        """An upload that reuses what lies there still needs it."""
        return any(u.found_at == place and u.bytes == "kept" for u in self.uploads.values())

    def _closed(self, *, always: bool = False) -> str | None:
        if self.status in ("purging", "erased"):
            return "not-found"
        return "form-submitted" if self.status == "submitted" and not always else None

    def _of(self, field: str) -> list[Upload]:
        return [each for each in self.uploads.values() if each.field == field and not each.final]

    def _owns(self, upload_id: str, generation: int) -> bool:
        upload = self.uploads.get(upload_id)
        return upload is not None and (
            (upload.status, upload.generation) == ("processing", generation)
        )

    def _reject(self, upload: Upload) -> None:
        self._end_unapplied(upload, "rejected")
        upload.applied = upload.generation
        of_slot = [u for u in self.uploads.values() if u.slot == upload.slot and not u.final]
        kept = [u for u in self._of(upload.field) if (u.status, u.bytes) == ("rejected", "kept")]
        kept.remove(upload)
        room = (self.PAIR if upload.field == "pair" else 1) - 1
        for older in kept[: max(len(kept) - room, 0)]:
            older.bytes = "condemned"
        if of_slot[-1] is not upload:
            upload.bytes = "condemned"

    def _replace_older(self, upload: Upload) -> None:
        for older in self.uploads.values():
            if older is upload:
                break
            if older.slot == upload.slot and not older.final:
                self._end(older, "replaced")

    def _put_away(self, upload: Upload) -> None:
        upload.status, upload.applied, upload.claim_id = "stored", upload.generation, None
        upload.bytes = "condemned"

    def _give_back(self, upload: Upload, *, counted: bool, applied: int | None = None) -> None:
        if counted and upload.attempts >= self.MAX_ATTEMPTS:
            self._end_unapplied(upload, "failed")
            upload.exhausted = True
            upload.applied = applied or upload.applied
            return
        self._end_unapplied(upload, "staged")
        upload.attempts -= 0 if counted else 1
        upload.backoffs += 1
        upload.due = False

    def _purge(self) -> None:
        for upload in self.uploads.values():
            upload.key = None
            if not upload.final:
                self._end(upload, "removed")
        self.status, self.note = "purging", None

    def _heard_of(self, upload_id: str, generation: int) -> None:
        """The worker of a generation whose lease was taken for lost lives."""
        upload = self.uploads.get(upload_id)
        if upload is None or generation not in upload.lost:
            return
        ran_out = (upload.status, upload.exhausted, upload.bytes) == ("failed", True, "kept")
        if upload.status not in PENDING and not ran_out:
            return
        upload.lost.remove(generation)
        upload.attempts -= 1
        if ran_out:
            upload.status, upload.exhausted, upload.due = "staged", False, False
            upload.backoffs += 1

    def _end_unapplied(self, upload: Upload, to: str) -> None:
        self._doom(upload)
        upload.status, upload.claim_id = to, None

    def _end(self, upload: Upload, to: str) -> None:
        if upload.status in ("processing", "stored"):
            applied = upload.applied == upload.generation
            self._doom(upload, due=applied)
        upload.status, upload.claim_id = to, None
        if upload.bytes == "kept":
            upload.bytes = "condemned"

    def _doom(self, upload: Upload, *, due: bool = False) -> None:
        for flagged in (False, True):
            place = ((upload.id, upload.generation), flagged)
            self.doomed.setdefault(place, Doomed(due=due))
