"""The oracle: waits, bounded, until everything is final, and holds the ledger against it."""

import asyncio
import hashlib
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from dev.soak.ledger import Entry, Ledger
from dev.soak.plan import LEFT_OVER_FOR, SETTLED_WITHIN
from dev.soak.records import Bucket, Records, Upload, folder_of, on_volume

LOOK_EVERY = 2.0
PENDING = {"receiving", "staged", "processing"}
LISTED = 20
"""Ids of each kind of trouble that are named."""


@dataclass
class Verdict:
    """What became of everything. `lost`, `stuck`, `wrong` and the orphans name what broke."""

    states: Counter[str] = field(default_factory=Counter)
    """Of the acknowledged uploads."""
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    volume_orphans: list[str] = field(default_factory=list)
    bucket_orphans: list[str] = field(default_factory=list)
    stored_after: list[float] = field(default_factory=list)
    """Seconds from acknowledgement to stored, of those still stored."""
    unanswered: int = 0
    """Uploads in the record whose acknowledgement nobody saw."""
    retried: int = 0
    settled_after: float = 0

    @property
    def broken(self) -> bool:
        return bool(
            self.lost or self.stuck or self.wrong or self.volume_orphans or self.bucket_orphans
        )


@dataclass(frozen=True)
class Patience:
    """Seconds to wait until everything is final, and for what is left over to be cleaned."""

    final: float = SETTLED_WITHIN
    cleaned: float = LEFT_OVER_FOR
    bucket: bool = True
    """Whether the bucket has to be clean, too: a cleaning takes minutes."""
    ageing: bool = False
    """Whether what ages does so in seconds: then neither drafts nor rejected bytes are left."""


async def settle(
    ledger: Ledger, info: dict[str, Any], patience: Patience, bucket: Bucket | None = None
) -> Verdict:
    """Hold the ledger against the services, volume and bucket that `info`, a stack.json, names.

    `bucket`: the same, where it was looked at before and most of it is known.
    """
    verdict = Verdict(wrong=list(ledger.broken))
    bucket = bucket or Bucket(info)
    began = time.monotonic()
    async with Records(info) as records:
        uploads = await _final(records, verdict, patience)
        verdict.settled_after = time.monotonic() - began
        await _add_removed(records, ledger, uploads)
    verdict.stuck = [i for i, upload in uploads.items() if upload["status"] in PENDING]
    if patience.ageing and records.drafts:
        verdict.stuck.append(f"{records.drafts} drafts outlived their age")
    verdict.unanswered = len(uploads.keys() - ledger.entries.keys())
    staging = Path(info["staging_dir"])
    await _leftovers(verdict, uploads, bucket, staging, patience)
    verdict.lost += await _not_in_bucket(uploads, bucket)
    for entry in ledger.entries.values():
        upload = uploads.get(entry.upload_id)
        if upload is None and patience.ageing and entry.form_id not in ledger.submitted:
            verdict.states["aged"] += 1
            continue
        verdict.states[upload["status"] if upload else "unknown"] += 1
        judge(verdict, entry, upload, uploads, staging, rejected_kept=not patience.ageing)
    verdict.stored_after = [
        _moment(upload["updated_at"]) - _moment(upload["created_at"])
        for upload in uploads.values()
        if upload["status"] == "stored"
    ]
    return verdict


async def _final(records: Records, verdict: Verdict, patience: Patience) -> dict[str, Upload]:
    """All uploads, once none is pending; each that failed is retried once, as an operator would."""
    deadline = time.monotonic() + patience.final
    retried: set[str] = set()
    uploads: dict[str, Upload] = {}
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):  # the api may just be on its way back
            uploads = await records.uploads()
            failed = {i for i, upload in uploads.items() if upload["status"] == "failed"}
            pending = any(upload["status"] in PENDING for upload in uploads.values())
            aged = not (patience.ageing and records.drafts)
            if not pending and aged and failed <= retried:
                break
            for upload_id in failed - retried:
                verdict.retried += await records.retry(upload_id)
                retried.add(upload_id)
        await asyncio.sleep(LOOK_EVERY)
    return uploads


async def _add_removed(records: Records, ledger: Ledger, uploads: dict[str, Upload]) -> None:
    """Forms don't list what was removed; it still has a status of its own."""
    for upload_id in ledger.entries.keys() - uploads.keys():
        upload = await records.upload(upload_id)
        if upload:
            uploads[upload_id] = upload


async def _leftovers(
    verdict: Verdict, uploads: dict[str, Upload], bucket: Bucket, staging: Path, patience: Patience
) -> None:
    """What nobody owns, once the sweep and the cleaning had their time."""
    stored = [upload for upload in uploads.values() if upload["status"] == "stored"]
    used = {folder_of(bucket.key_of(upload)) for upload in stored}
    rejected_kept = not patience.ageing
    kept = {i for i, upload in uploads.items() if _keeps(upload, uploads, rejected_kept)}
    deadline = time.monotonic() + patience.cleaned
    while True:
        left = [path for path in on_volume(staging) if path.name not in kept]
        verdict.volume_orphans = sorted(str(path.relative_to(staging)) for path in left)
        if patience.bucket:
            found = await bucket.folders()
            verdict.bucket_orphans = sorted(
                key for folder, keys in found.items() if folder not in used for key in keys
            )
        if not (verdict.bucket_orphans or verdict.volume_orphans) or time.monotonic() > deadline:
            return
        await asyncio.sleep(LOOK_EVERY)


async def _not_in_bucket(uploads: dict[str, Upload], bucket: Bucket) -> list[str]:
    """Stored uploads whose object or derivatives are not, byte for byte, what the record says."""
    stored = {i: upload for i, upload in uploads.items() if upload["status"] == "stored"}
    found = await bucket.folders()
    keys = {i: found.get(folder_of(bucket.key_of(each)), []) for i, each in stored.items()}
    hashes = await bucket.hashes([key for of_one in keys.values() for key in of_one])
    missing = []
    for upload_id, upload in stored.items():
        said = sorted(o["sha256"] for o in (upload["object"], *upload["derivatives"].values()))
        there = sorted(hashes[key] for key in keys[upload_id])
        if said != there or hashes.get(bucket.key_of(upload)) != upload["object"]["sha256"]:
            missing.append(f"{upload_id}: the bucket does not hold what the record says")
    return missing


def judge(
    verdict: Verdict,
    entry: Entry,
    upload: Upload | None,
    uploads: dict[str, Upload],
    staging: Path,
    *,
    rejected_kept: bool = True,
) -> None:
    if upload is None:
        verdict.lost.append(f"{entry.upload_id}: the record does not know it")
        return
    status = upload["status"]
    name = f"{entry.upload_id}: {status}"
    if upload["sha256"] != entry.sha256:
        verdict.lost.append(f"{name}, with the SHA-256 of another file")
    if status == "removed" and not entry.removed:
        verdict.lost.append(f"{name}, which nobody asked for")
    if status == "replaced" and not _has_successor(entry, upload, uploads):
        verdict.lost.append(f"{name}, by nothing that is stored")
    if _keeps(upload, uploads, rejected_kept) and not _is_kept(staging, entry):
        verdict.lost.append(f"{name}, without its bytes")
    if status == "stored" and entry.unchanged and upload["object"]["sha256"] != entry.sha256:
        verdict.lost.append(f"{name}, as other bytes than were sent")
    if status == "stored" and entry.hostile:
        verdict.wrong.append(f"{name}, though it is hostile")
    if status == "rejected" and not entry.hostile:
        verdict.wrong.append(f"{name}, though it is a good file: {upload['error']}")


def _has_successor(entry: Entry, upload: Upload, uploads: dict[str, Upload]) -> bool:
    """Whether a newer one of its field was stored: it still is, or was itself removed later."""
    return any(
        other["form_id"] == entry.form_id
        and other["field"] == entry.field
        and other["status"] in {"stored", "removed", "replaced"}
        and other["created_at"] >= upload["created_at"]
        and other["id"] != entry.upload_id
        for other in uploads.values()
    )


def _keeps(upload: Upload, uploads: dict[str, Upload], rejected_kept: bool) -> bool:  # noqa: FBT001 - one of its facts
    """Whether its bytes have to be on the volume, settled as it is."""
    if upload["status"] == "failed":
        return bool(upload["error"]["code"] != "bytes-expired")
    newest = not any(
        (other["form_id"], other["field"]) == (upload["form_id"], upload["field"])
        and other["created_at"] > upload["created_at"]
        for other in uploads.values()
    )
    return upload["status"] == "rejected" and rejected_kept and newest


def _is_kept(staging: Path, entry: Entry) -> bool:
    try:
        content = (staging / "staged" / entry.upload_id).read_bytes()
    except FileNotFoundError:
        return False
    return hashlib.sha256(content).hexdigest() == entry.sha256


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
