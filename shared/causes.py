"""Why a worker gives an upload back, to be tried again."""

from enum import StrEnum


class Cause(StrEnum):
    """What went wrong, for logs and metrics; the api acts on `shutdown` and `decoder` only. An
    outcome may name another one, as of a newer worker."""

    STORE = "store"  # the bucket can't be reached or misbehaves
    STORE_REFUSED = "store-refused"  # it answers, but not to us: an operator must look
    SCANNER = "scanner"  # there is no verdict
    SCANNER_REFUSED = "scanner-refused"  # its verdicts are worth nothing: an operator must look
    VOLUME = "volume"  # the bytes can't be read, or the volume isn't that of the records
    DECODER = "decoder"  # the child crashed, or exceeded a limit: perhaps the file's doing
    BUSY = "busy"  # the child ran out of time and had little of the processor meanwhile
    MEMORY = "memory"  # the child was killed from outside, or the machine had no memory for it
    SCRATCH = "scratch"  # it couldn't write
    OFFICE = "office"  # LibreOffice is missing or doesn't start: an operator must look
    REFUSED = "refused"  # the api can't do anything with the outcome
    DEADLINE = "deadline"  # the work order's time was over
    SHUTDOWN = "shutdown"  # the worker was told to stop
    UNEXPECTED = "unexpected"  # an error of ours that nobody classified
