"""The scanner's part of a promotion: before a file is decoded, and after it was found good."""

from pathlib import Path

from shared.internal_api import Notice, Scan, WorkOrder
from shared.status import Verdict
from worker.errors import FileRejected
from worker.scanner import Scanner


async def look_into(scanner: Scanner | None, staged: Path, order: WorkOrder) -> Scan | None:
    """The verdict on a staged file that was verified; None where there is no scanner.

    Raises what `Scanner.scan` raises: without a verdict the upload waits.
    """
    if scanner is None:
        return None
    if not order.policy.scan:
        return Scan(verdict=Verdict.SKIPPED)
    return await scanner.scan(staged, size=order.size, max_bytes=order.policy.max_bytes)


def refuse_infected(scan: Scan | None) -> None:
    """Raise `FileRejected`: what was found is decoded by nobody."""
    if scan and scan.verdict is Verdict.INFECTED:
        raise FileRejected("file-infected")


def notices_of(scan: Scan | None, order: WorkOrder) -> list[Notice]:
    """Of a file that is good but for the scanner, which may have seen only a part of it.

    Raises `FileRejected` where the policy doesn't accept that. It is asked after the check, which
    has the better word for it: that a file is encrypted, say, or too complex.
    """
    if not (scan and scan.verdict is Verdict.UNSCANNABLE):
        return []
    if order.policy.unscannable == "reject":
        raise FileRejected("file-unscannable")
    return [Notice(code="not-scanned")]
