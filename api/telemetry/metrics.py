"""What this process counts, for Prometheus. What must be right across replicas is asked of the
database when it is wanted: see `api/upkeep/backlog_figures.py`.

Labels have few values: statuses, the documented codes, the causes that workers name.
"""

import time
from collections.abc import Callable
from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.records.database import Change
from api.texts.errors import ERRORS
from shared.causes import Cause
from shared.status import SETTLED, Verdict

OTHER = "other"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Longest:
    """The longest of the current minute and the one before: however many scrape, all see it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minute = int(clock() // 60)
        self._now = self._before = 0.0

    def note(self, seconds: float) -> None:
        self._turn()
        self._now = max(self._now, seconds)

    def longest(self) -> float:
        self._turn()
        return max(self._now, self._before)

    def _turn(self) -> None:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._before = self._now if minute == self._minute + 1 else 0.0
            self._minute, self._now = minute, 0.0


class Metrics:
    """All that `/metrics` shows. Whoever does something counts it here; what the database knows is
    set when it is scraped."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"longshore_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"longshore_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(f"longshore_{name}", text, buckets=SECONDS, registry=self.registry)

        # across all replicas, from the database
        self.database_up = gauge("database_up", "1 if the database answered within seconds")
        self.backlog = gauge("backlog_uploads", "Uploads that are not done, by status", "status")
        self.oldest_pending = gauge(
            "oldest_pending_seconds", "Since the oldest pending upload was acknowledged"
        )
        self.cleanings = gauge("cleanings", "Prefixes to be deleted: due, or later", "when")
        self.bytes_on_volume = gauge(
            "upload_bytes_on_volume", "Bytes of uploads on the staging volume, by status", "status"
        )
        self.oldest_on_volume = gauge(
            "oldest_upload_on_volume_seconds", "Since the oldest of them was acknowledged", "status"
        )
        self.receiving_bytes = gauge(
            "receiving_bytes",
            "Bytes of resumable uploads that aren't all here: those here, and those outstanding",
            "which",
        )
        self.ending_soon = gauge("failed_uploads_ending_soon", "Failed uploads whose bytes go soon")
        self.quarantined = gauge("quarantined_files", "Orphaned files kept aside")
        self.workers = gauge("workers", "Workers that were heard of in the last 20 s")
        self.store_up = gauge(
            "store_up", "1 if every worker can put, 0 if one can't; NaN without workers"
        )
        self.checked = gauge("checked_uploads", "Uploads that are checked and not yet stored")
        # of what uploads need to be taken, and of the volume
        self.ready = gauge("ready", "1 if this check of /readyz holds, 0 if not", "check")
        self.volume_bytes = gauge("volume_size_bytes", "Size of the staging volume")
        self.free_bytes = gauge("volume_free_bytes", "Free on the staging volume")
        self.free_inodes = gauge("volume_free_inodes", "Free on the staging volume, if counted")
        # of this process
        self.acknowledged = counter("acknowledged_uploads", "Uploads acknowledged with a 2xx")
        self.received = counter("received_bytes", "Bytes of acknowledged uploads")
        self.acknowledgement = histogram(
            "acknowledgement_seconds", "From the last byte of a body to the 202"
        )
        self.refused = counter("refused_requests", "Answered with a problem", "listener", "code")
        self.waiting = gauge("waiting_requests", "Requests that wait for a change")
        self.streams = gauge("event_streams", "Streams of events that are open")
        self.abandoned = counter("abandoned_uploads", "Resumable uploads that nobody finished")
        self.claims = counter("claims", "Uploads that a worker took")
        self.outcomes = counter("outcomes", "Uploads settled", "result", "code")
        self.scans = counter("scans", "Settled uploads that the scanner looked into", "verdict")
        self.given_back = counter("given_back", "Uploads that a worker gave back", "cause")
        self.last_stored = gauge("last_stored_timestamp_seconds", "When an upload was last stored")
        self.leases_lost = counter("leases_lost", "Leases that ran out")
        self.orphans = counter("orphans", "Files without a record, moved to quarantine")
        self.sweeps = histogram("sweep_seconds", "How long a sweep took")
        self.sweep_failures = counter("sweep_failures", "Steps of a sweep that failed", "step")
        self.last_sweep = gauge(
            "last_sweep_timestamp_seconds", "When a sweep last ended without a failure"
        )
        self.longest_hold = gauge(
            "loop_longest_hold_seconds", "Longest hold of the event loop in the last two minutes"
        )
        for cause in (*Cause, OTHER):
            self.given_back.labels(cause)  # at 0, so that the first is seen as an increase
        self._holds = Longest()
        self.longest_hold.set_function(self._holds.longest)
        self.last_stored.set(nan)  # not 1970, which would look like an outage
        self.last_sweep.set_to_current_time()  # a process that never sweeps has to be noticed
        self.last_stored_at: float | None = None
        """Unix time; None before the first of this process."""
        self.last_sweep_at: float | None = None

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def committed(self, changes: list[Change]) -> None:
        """Count what a committed transaction did to uploads."""
        for change in changes:
            if change.upload_id is None or change.before == change.after:
                continue
            if change.before in (None, "receiving") and change.after == "staged":
                self.acknowledged.inc()
                self.received.inc(change.size or 0)
            elif change.after == "processing":
                self.claims.inc()
            elif change.after in SETTLED:
                self.outcomes.labels(change.after, known_code(change.code)).inc()
            if change.after == "stored":
                self.last_stored_at = time.time()
                self.last_stored.set(self.last_stored_at)

    def swept(self, seconds: float, failed: list[str]) -> None:
        """A sweep took so long; `failed` are the names of its steps that failed."""
        self.sweeps.observe(seconds)
        for step in failed:
            self.sweep_failures.labels(step).inc()
        if not failed:
            self.last_sweep_at = time.time()
            self.last_sweep.set(self.last_sweep_at)

    def held(self, seconds: float) -> None:
        """One piece of work held the event loop for so long."""
        self._holds.note(seconds)

    def scanned(self, verdict: Verdict) -> None:
        """An outcome said what the scanner found."""
        self.scans.labels(verdict).inc()

    def gave_back(self, cause: str) -> None:
        """An outcome gave an upload back."""
        self.given_back.labels(cause if cause in set(Cause) else OTHER).inc()

    def refusal(self, listener: str, code: str) -> None:
        """The `public` or the `internal` listener answered with a problem."""
        self.refused.labels(listener, known_code(code)).inc()


def known_code(code: str | None) -> str:
    """A documented code; whatever else a worker may say is one value, so that labels stay few."""
    return "" if code is None else code if code in ERRORS else OTHER
