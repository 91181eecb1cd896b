"""What a decoder's death says: of the file, or of the machine.

A file whose decoder dies of its limits, or crashes, is suspect. A decoder that is killed from
outside, or gets no memory though it is far from its limit, says nothing of its file.
"""

import signal

from shared.causes import Cause
from worker.children import Ending
from worker.decoder.shortage import (
    MEMORY_SHORT,
    SCRATCH_FAILS,
    machine_may_refuse_memory,
)
from worker.errors import TransientError
from worker.formats.blame import says_no_memory

CRASHES = {
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
    signal.SIGSYS,
    signal.SIGTRAP,
}
_OF_THE_FILE = CRASHES - {signal.SIGBUS} | {signal.SIGXCPU, signal.SIGXFSZ}
"""Not SIGBUS: what was mapped of a file can't be read from its disk."""


_BUSY_SHARE = 0.5
"""Of a deadline. Who had less of the processor than that meanwhile was waiting for it: decoding
waits for nothing else."""


def is_crash(ending: Ending) -> bool:
    return -ending.exit_code in CRASHES


def death(ending: Ending, *, cpu_seconds: int, said: str) -> TransientError:
    """The error for a child that ended without a usable answer.

    `cpu_seconds` is what it was allowed, `said` the end of what it wrote to stderr.
    """
    return TransientError(
        _cause(ending, cpu_seconds, said),
        counted=True,
        detail=f"exit status {ending.exit_code}: {said}",
    )


def overdue(what: str, *, seconds: float, cpu_seconds: float | None) -> TransientError:
    """The error for `what` didn't end within its deadline of `seconds`, and was killed.

    `cpu_seconds` is what it used of the processor; None where nobody knows. Attempts are counted
    either way, so that a file that no machine has the time for ends too.
    """
    busy = cpu_seconds is not None and cpu_seconds < seconds * _BUSY_SHARE
    used = "" if cpu_seconds is None else f", with {cpu_seconds:.3g} s of the processor"
    detail = f"{what} within {seconds:.3g} s{used}"
    return TransientError(Cause.BUSY if busy else Cause.DECODER, counted=True, detail=detail)


def _cause(ending: Ending, cpu_seconds: int, said: str) -> Cause:
    if ending.exit_code in (MEMORY_SHORT, SCRATCH_FAILS):
        return Cause.MEMORY if ending.exit_code == MEMORY_SHORT else Cause.SCRATCH
    if ending.exit_code >= 0:
        return Cause.DECODER
    if -ending.exit_code not in _OF_THE_FILE:
        used_up = ending.cpu_seconds is not None and ending.cpu_seconds >= cpu_seconds
        return Cause.DECODER if used_up else Cause.MEMORY
    refused = says_no_memory(said) and machine_may_refuse_memory()
    return Cause.MEMORY if refused else Cause.DECODER
