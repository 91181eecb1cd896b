"""Decode a staged file in a child process that can do nothing else.

The parent never looks into the bytes. The child (`worker.decoder`) has no secrets, no network and
no other files where the kernel allows it, and bounded memory and time; whatever happens to it ends
here as a result, a `FileRejected` or a `TransientError`.
"""

import asyncio
import contextlib
import json
import math
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from pydantic import TypeAdapter

from shared.causes import Cause
from shared.formats import FORMATS, original_name
from shared.internal_api import Code, MediaType, Notice, Params
from shared.policy import FilePolicy
from shared.status import Stage
from worker.children import CantStart, Child, Children, ZygoteLost, end_of
from worker.deaths import death, is_crash, overdue
from worker.decoder.messages import Request
from worker.errors import FileRejected, TransientError
from worker.formats.job import THREADS, Facts, output_name
from worker.hashed import Hashed

REMEMBERED = 1_000
"""How many files of died zygotes are remembered, the latest ones."""


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
    hashed: Hashed | None = None
    """Of received bytes, which were hashed when they were verified."""


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
    confinement: frozenset[str]
    """What the kernel closed to the child: `files`, `network`, `processes` where it can."""

    @property
    def outputs(self) -> list[Output]:
        """Everything to be put."""
        return [self.object, *self.derivatives.values(), *filter(None, [self.original])]


class Decoder:
    """Decodes files, each in a child of its own. To be opened before use: it keeps a zygote."""

    def __init__(self, children: Children | None = None) -> None:
        self._children = children or Children()
        self._lost: dict[Path, None] = {}
        """Files that were being decoded when a zygote died, the latest last."""

    async def __aenter__(self) -> Self:
        self._warming_up = asyncio.create_task(self._children.warm_up())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._warming_up.cancel()
        await asyncio.wait([self._warming_up])
        await self._children.close()

    async def process(
        self,
        staged: Path,
        scratch: Path,
        *,
        policy: FilePolicy,
        field: str,
        deadline_seconds: float,
        on_stage: Callable[[Stage], None] = lambda _: None,
        found: FileRejected | None = None,
        sha256: str | None = None,
    ) -> Processed:
        """Check `staged` against `policy`, convert it, and make its derivatives inside `scratch`.

        `scratch` is an existing folder of this upload alone; the caller removes it. What is in it
        from before, as of a document that was converted there, has other names than the outputs.
        `on_stage` is called as `VALIDATING` and `CONVERTING` begin. However it ends, by
        cancellation too, no process is left behind. With `found`, a verdict that is known, nothing
        is decoded: it is raised with the file's type, or another one where that isn't accepted.
        `sha256` is that of `staged`, where it is known: it isn't hashed again then.

        Raises `FileRejected`, or `TransientError`: `decoder`, counted, when the child exceeded its
        limits, took longer than `deadline_seconds`, crashed or broke down; `busy`, counted, when it
        took longer because it hardly got the processor; `memory`, counted, when
        it was killed from outside or the machine had no memory for it, and not counted when no
        child could be started or its zygote died the first time; `scratch`, counted, when it
        couldn't write.
        """
        request: Request = {
            "staged": str(staged),
            "scratch": str(scratch),
            "sha256": sha256,
            "field": field,
            "policy": policy.model_dump(mode="json"),
            "cpu_seconds": math.ceil(deadline_seconds * THREADS) + 1,
            "verdict": {"code": found.code, "params": found.params} if found else None,
        }
        answer = await self._ask_child(request, staged, scratch, deadline_seconds, on_stage)
        try:
            if answer["result"] == "rejected":
                raise _read_rejected(answer)
            return _read_accepted(answer, staged, scratch, policy, field)
        except (LookupError, TypeError, ValueError, OSError) as error:
            raise _gave_up(f"its answer makes no sense: {error!r}") from error

    async def _ask_child(
        self,
        request: Request,
        staged: Path,
        scratch: Path,
        deadline_seconds: float,
        on_stage: Callable[[Stage], None],
    ) -> dict[str, Any]:
        """Run one child; its answer, or `TransientError`."""
        with _opened(scratch / "request.json") as stdin, _opened(scratch / "stderr.txt") as stderr:
            stdin.write(json.dumps(request).encode())
            stdin.seek(0)
            child: Child | None = None
            try:
                async with (
                    self._children.born(stdin, stderr) as child,
                    asyncio.timeout(deadline_seconds),
                ):
                    answer = await _read_answer(child, on_stage)
                    ending = await child.ended()
            except TimeoutError:
                used = await _cpu_seconds(child)
                raise overdue("no answer", seconds=deadline_seconds, cpu_seconds=used) from None
            except (ValueError, TypeError) as error:
                raise _gave_up(f"its answer makes no sense: {error!r}") from error
            except CantStart as error:
                raise TransientError(Cause.MEMORY, counted=False, detail=str(error)) from error
            except ZygoteLost as error:
                raise self._lost_with_zygote(staged) from error
            if is_crash(ending):
                self._children.renew()
            if ending.exit_code != 0 or answer is None:
                raise death(ending, cpu_seconds=request["cpu_seconds"], said=end_of(stderr))
            return answer

    def _lost_with_zygote(self, staged: Path) -> TransientError:
        """No file's doing, as far as anybody knows. But one that was there before has to end."""
        counted = staged in self._lost
        self._lost[staged] = None
        if len(self._lost) > REMEMBERED:
            del self._lost[next(iter(self._lost))]
        return TransientError(Cause.MEMORY, counted=counted, detail="the zygote died")


async def _cpu_seconds(killed: Child | None) -> float | None:
    """What a child that was buried used of the processor, where that is known."""
    if killed is not None:
        with contextlib.suppress(CantStart, ZygoteLost):
            return (await killed.ended()).cpu_seconds
    return None


def _gave_up(detail: str) -> TransientError:
    return TransientError(Cause.DECODER, counted=True, detail=detail)


def _opened(path: Path) -> IO[bytes]:
    return path.open("w+b")


async def _read_answer(child: Child, on_stage: Callable[[Stage], None]) -> dict[str, Any] | None:
    """The last line, after reporting the stages before it. None when there is no answer."""
    async for line in child.answers:
        message: dict[str, Any] = json.loads(line)
        if "stage" not in message:
            return message
        on_stage(Stage(message["stage"]))
    return None


def _read_rejected(answer: dict[str, Any]) -> FileRejected:
    code = TypeAdapter(Code).validate_python(answer["code"])
    params = TypeAdapter(Params).validate_python(answer["params"])
    detected_type = TypeAdapter(MediaType | None).validate_python(answer["detected_type"])
    return FileRejected(code, params, detected_type=detected_type)


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
    kept = answer["original"] if policy.keep_original else None
    return Processed(
        detected_type=detected_type,
        object=_output(name, object_path, answer["object"]),
        derivatives={
            name: output(facts, name)
            for name, facts in answer["derivatives"].items()
            if name in policy.derivatives
        },
        original=_output(original_name(FORMATS[detected_type]), staged, kept) if kept else None,
        notices=[Notice.model_validate(notice) for notice in answer["notices"]],
        confinement=frozenset(answer["confinement"]),
    )


def _output(name: str, path: Path, facts: Facts) -> Output:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size != facts["size"]:
        raise ValueError(f"{name} is not the file that was announced")
    return Output(name=name, path=path, **facts)
