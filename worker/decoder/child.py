"""The child itself: one request on stdin, stages and one result on stdout, then it ends.

It knows two endings: a result, or a death that the parent reads as "try again". Its exit status
says when the machine, and not the file, is what failed.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from shared.formats import FORMATS
from shared.policy import FilePolicy
from shared.status import Stage
from worker.decoder.confine import confine
from worker.decoder.messages import Accepted, Rejected, Request, StageBegins
from worker.decoder.shortage import Shortages
from worker.errors import FileRejected
from worker.formats.detect import detect
from worker.formats.families import check_accepted, process
from worker.formats.job import Job


def main(*, parent_pid: int, readable: Iterable[Path] | None = None) -> None:
    """Do one file. `readable` is for `confine`. Raises `SystemExit` when it can't go on."""
    answers = _take_stdout()
    with open(0, encoding="utf-8", closefd=False) as stdin:
        request: Request = json.load(stdin)
    staged, scratch = Path(request["staged"]), Path(request["scratch"])
    os.chdir(scratch)
    os.environ.update(HOME=str(scratch), TMPDIR=str(scratch))
    shortages = Shortages()
    confinement = confine(
        staged,
        scratch,
        cpu_seconds=request["cpu_seconds"],
        parent_pid=parent_pid,
        readable=readable,
    )
    try:
        _say(answers, {"stage": Stage.VALIDATING})
        detected = detect(staged)
        try:
            accepted = _decode(request, detected, answers, confinement)
        except FileRejected as verdict:
            if shortages.exit_status(verdict) is not None:
                raise  # nothing is known of the file: what failed says it had no memory, or no disk
            _say(answers, _rejected(verdict, detected))
        else:
            _say(answers, accepted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told by a status
        traceback.print_exc()
        sys.exit(shortages.exit_status(error) or 1)


def _take_stdout() -> IO[str]:
    """Keep stdout for answers alone: what a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _say(answers: IO[str], message: StageBegins | Accepted | Rejected) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _rejected(verdict: FileRejected, detected: str | None) -> Rejected:
    return {
        "result": "rejected",
        "code": verdict.code,
        "params": verdict.params,
        "detected_type": detected,
    }


def _decode(
    request: Request, detected: str | None, answers: IO[str], confinement: list[str]
) -> Accepted:
    policy = FilePolicy.model_validate(request["policy"])
    check_accepted(detected, policy.accepted_types)
    assert detected is not None  # noqa: S101 - what was just checked
    if verdict := request["verdict"]:
        raise FileRejected(verdict["code"], verdict["params"])
    made = process(
        Job(
            staged=Path(request["staged"]),
            scratch=Path(request["scratch"]),
            field=request["field"],
            policy=policy,
            format=FORMATS[detected],
            begin=lambda stage: _say(answers, {"stage": stage}),
            sha256=request["sha256"],
        )
    )
    return {
        "result": "accepted",
        "detected_type": detected,
        "object": made.object,
        "object_is_staged": made.object_is_staged,
        "derivatives": made.derivatives,
        "original": made.original,
        "notices": made.notices,
        "confinement": confinement,
    }
