"""Decode a staged file in a child process that can do nothing else.

The parent never looks into the bytes. The child (`worker.decoder`) has no secrets, no network and
no other files where the kernel allows it, and bounded memory and time; whatever happens to it ends
here as a result, a `FileRejected` or a `TransientError`.
"""

import asyncio
import contextlib
import json
import math
import os
import signal
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter

from shared.formats import FORMATS
from shared.internal_api import Code, Notice, Params
from shared.policy import FilePolicy
from shared.status import Stage
from worker.errors import FileRejected, TransientError
from worker.formats.job import Facts, output_name

_ROOT = Path(__file__).parents[1]
_COMMAND = (sys.executable, "-P", "-s", "-m", "worker.decoder")
_THREADS = 2
"""Of libvips in one child: more children at once are worth more than more threads in each."""
_SHOWN_OF_STDERR = 2_000


@dataclass(frozen=True)
class Output:
    """One file to put: where it lies and what is known of it. `size` is in bytes."""

    name: str
    """The last segment of its object key: `headshot.jpg`, `headshot-thumb.jpg`, `original.png`."""
    path: Path
    content_type: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    pages: int | None = None


@dataclass(frozen=True)
class Processed:
    """A file that was found good, or is kept all the same, and what is to be put for it."""

    detected_type: str | None
    """None only of what nobody could look into."""
    object: Output
    derivatives: dict[str, Output]
    original: Output | None
    """The received bytes, when the policy keeps them beside a re-encoded object."""
    notices: list[Notice]
    object_is_staged: bool
    """Whether the received bytes are themselves the object: its path is the staged file."""
    confinement: frozenset[str]
    """What the kernel closed to the child: `files`, `network`, `processes` where it can."""

    @property
    def outputs(self) -> list[Output]:
        """Everything to be put."""
        return [self.object, *self.derivatives.values(), *filter(None, [self.original])]


async def process(
    staged: Path,
    scratch: Path,
    *,
    policy: FilePolicy,
    field: str,
    deadline_seconds: float,
    on_stage: Callable[[Stage], None] = lambda _: None,
) -> Processed:
    """Check `staged` against `policy`, convert it, and make its derivatives inside `scratch`.

    `scratch` is an existing, empty folder of this upload alone; the caller removes it. `on_stage`
    is called as `VALIDATING` and `CONVERTING` begin. Raises `FileRejected`, or
    `TransientError("decoder")`, counted, when the child is killed, breaks down or takes longer
    than `deadline_seconds`. However it ends, by cancellation too, no process is left behind.
    """
    request = {
        "staged": str(staged),
        "scratch": str(scratch),
        "field": field,
        "policy": policy.model_dump(mode="json"),
        "cpu_seconds": math.ceil(deadline_seconds * _THREADS) + 1,
        "parent_pid": os.getpid(),
    }
    answer = await _ask_child(request, scratch, deadline_seconds, on_stage)
    try:
        if answer["result"] == "rejected":
            raise _read_rejected(answer)
        return _read_accepted(answer, staged, scratch, policy, field)
    except (LookupError, TypeError, ValueError, OSError) as error:
        raise _gave_up(f"its answer makes no sense: {error!r}") from error


def _gave_up(detail: str) -> TransientError:
    return TransientError("decoder", counted=True, detail=detail)


async def _ask_child(
    request: dict[str, Any],
    scratch: Path,
    deadline_seconds: float,
    on_stage: Callable[[Stage], None],
) -> dict[str, Any]:
    """Run one child; its answer, or `TransientError`."""
    with _opened(scratch / "request.json") as stdin, _opened(scratch / "stderr.txt") as stderr:
        stdin.write(json.dumps(request).encode())
        stdin.seek(0)
        try:
            child = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                cwd=scratch,
                env=_environment(scratch),
                start_new_session=True,
            )
        except OSError as error:
            raise TransientError(
                "decoder", counted=False, detail=f"can't start: {error}"
            ) from error
        try:
            async with asyncio.timeout(deadline_seconds):
                answer = await _read_answer(child, on_stage)
                status = await child.wait()
        except TimeoutError:
            raise _gave_up(f"no answer within {deadline_seconds} s") from None
        except (ValueError, TypeError) as error:
            raise _gave_up(f"its answer makes no sense: {error!r}") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
        if status != 0 or answer is None:
            raise _gave_up(f"exit status {status}: {_end_of(stderr)}")
        return answer


def _opened(path: Path) -> IO[bytes]:
    return path.open("w+b")


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _SHOWN_OF_STDERR))
    return file.read(_SHOWN_OF_STDERR).decode(errors="replace")


def _environment(scratch: Path) -> dict[str, str]:
    """All the child sees: nothing of ours."""
    return {
        "PYTHONPATH": str(_ROOT),
        "LC_ALL": "C.UTF-8",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "VIPS_CONCURRENCY": str(_THREADS),
        "VIPS_BLOCK_UNTRUSTED": "1",
    }


async def _read_answer(
    child: asyncio.subprocess.Process, on_stage: Callable[[Stage], None]
) -> dict[str, Any] | None:
    """The last line, after reporting the stages before it. None when there is no answer."""
    assert child.stdout is not None  # noqa: S101 - it was asked for, as a pipe
    async for line in child.stdout:
        message: dict[str, Any] = json.loads(line)
        if "stage" not in message:
            return message
        on_stage(Stage(message["stage"]))
    return None


def _read_rejected(answer: dict[str, Any]) -> FileRejected:
    code = TypeAdapter(Code).validate_python(answer["code"])
    params = TypeAdapter(Params).validate_python(answer["params"])
    return FileRejected(code, params, detected_type=answer["detected_type"])


def _read_accepted(
    answer: dict[str, Any], staged: Path, scratch: Path, policy: FilePolicy, field: str
) -> Processed:
    """Take over the child's facts. Names and paths are ours: the child could be anyone by now."""
    detected_type = FORMATS[answer["detected_type"]].media_type
    object_is_staged = bool(answer["object_is_staged"])

    def output(facts: Facts, derivative: str | None = None) -> Output:
        name = output_name(field, facts["content_type"], derivative)
        return _output(name, scratch / name, facts)

    name = output_name(field, answer["object"]["content_type"])
    object_path = staged if object_is_staged else scratch / name
    kept = answer["original"]
    original_name = f"original{FORMATS[detected_type].extensions[0]}"
    return Processed(
        detected_type=detected_type,
        object=_output(name, object_path, answer["object"]),
        derivatives={
            name: output(facts, name)
            for name, facts in answer["derivatives"].items()
            if name in policy.derivatives
        },
        original=_output(original_name, staged, kept) if kept else None,
        notices=[Notice.model_validate(notice) for notice in answer["notices"]],
        object_is_staged=object_is_staged,
        confinement=frozenset(answer["confinement"]),
    )


def _output(name: str, path: Path, facts: Facts) -> Output:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size != facts["size"]:
        raise ValueError(f"{name} is not the file that was announced")
    return Output(name=name, path=path, **facts)
