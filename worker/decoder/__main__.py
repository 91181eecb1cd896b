"""The child itself: one request on stdin, stages and one result on stdout, then it ends.

It knows two endings: a result, or a death that the parent reads as "try again".
"""

import json
import os
import sys
from pathlib import Path
from typing import IO

from shared.file_types import FILE_TYPES
from shared.status import Stage
from worker.checks.detect import detect
from worker.decoder.confine import confine
from worker.decoder.messages import Accepted, Rejected, Request, StageBegins, facts_of
from worker.errors import FileRejected


def main() -> None:
    answers = _take_stdout()
    request: Request = json.load(sys.stdin)
    staged, scratch = Path(request["staged"]), Path(request["scratch"])
    confinement = confine(
        staged,
        scratch,
        cpu_seconds=request["cpu_seconds"],
        parent_pid=request["parent_pid"],
    )
    _say(answers, {"stage": Stage.VALIDATING})
    detected = detect(staged)
    try:
        accepted = _decode(request, detected, answers)
    except FileRejected as verdict:
        _say(
            answers,
            {
                "result": "rejected",
                "code": verdict.code,
                "params": verdict.params,
                "detected_type": detected,
            },
        )
    else:
        accepted["confinement"] = confinement
        _say(answers, accepted)


def _take_stdout() -> IO[str]:
    """Keep stdout for answers alone: what a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _say(answers: IO[str], message: StageBegins | Accepted | Rejected) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _decode(request: Request, detected: str | None, answers: IO[str]) -> Accepted:
    if detected is None or detected not in request["policy"]["accept"]:
        raise FileRejected("file-invalid-type", {"detected_type": detected} if detected else {})
    if FILE_TYPES[detected].kind == "pdf":
        return _check_pdf(request, detected)
    return _convert_image(request, detected, answers)


def _check_pdf(request: Request, detected: str) -> Accepted:
    from worker.checks.pdf import check_pdf  # noqa: PLC0415 - a file waits for one decoder only

    staged = Path(request["staged"])
    pages, notices = check_pdf(staged, request["policy"]["pdf"])
    return {
        "result": "accepted",
        "detected_type": detected,
        "object": facts_of(staged, detected, pages=pages),
        "object_is_staged": True,
        "derivatives": {},
        "original": None,
        "notices": notices,
        "confinement": [],
    }


def _convert_image(request: Request, detected: str, answers: IO[str]) -> Accepted:
    from worker.checks.image import open_image  # noqa: PLC0415 - as above
    from worker.derivatives.image import (  # noqa: PLC0415 - as above
        to_srgb,
        write_derivatives,
        write_object,
    )

    policy, field = request["policy"], request["field"]
    staged, scratch = Path(request["staged"]), Path(request["scratch"])
    target = policy["convert"].get(detected, detected)
    image, notices = open_image(staged, detected, target, policy["image"])
    _say(answers, {"stage": Stage.CONVERTING})
    image = to_srgb(image)
    return {
        "result": "accepted",
        "detected_type": detected,
        "object": write_object(
            image, scratch, field, target, keep_metadata=policy["keep_metadata"]
        ),
        "object_is_staged": False,
        "derivatives": write_derivatives(image, scratch, field, policy["derivatives"]),
        "original": facts_of(staged, detected) if policy["keep_original"] else None,
        "notices": notices,
        "confinement": [],
    }


if __name__ == "__main__":
    main()
