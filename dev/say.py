"""What the command tells the person in front of it."""

import errno
import os
import sys


class Problem(Exception):  # noqa: N818 - not a fault of the program: something a person can mend
    """Said in one line; ends the command with exit code 1."""


def say(text: str, end: str = "\n") -> None:
    """Print, also when nobody reads any more (a closed terminal, `| head`): the stack goes on."""
    try:
        print(text, end=end, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def explain(error: OSError) -> str:
    """Put an operating system's refusal into one line a person can act on."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk is full"
    where = error.filename or "a file"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"cannot write to {where}: {error.strerror}"
    return f"{where}: {error.strerror or error}"
