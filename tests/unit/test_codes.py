"""What the worker says of files, and what it is known by."""

import ast
from collections.abc import Iterator
from pathlib import Path

from api.texts.error_guide import UPLOADS
from api.texts.errors import ERRORS
from shared.codes import NOTICES, REJECTIONS

CHECKOUT = Path(__file__).parents[2]
WORKER = CHECKOUT / "worker"


def said() -> Iterator[tuple[str, str]]:
    """How a code is said in the worker's source, and which: those that are written out."""
    for path in sorted(WORKER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                first = [*node.args, *(each.value for each in node.keywords if each.arg == "code")]
                if not first or isinstance(first[0], ast.Subscript):
                    continue  # read from what a child said, which says it by the same call
                for constant in ast.walk(first[0]):
                    if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                        yield node.func.id, constant.value


def written() -> Iterator[str]:
    """What is written out in the sources of both services, but where codes are explained."""
    explained = {CHECKOUT / "api" / "texts", CHECKOUT / "api" / "openapi"}
    for path in sorted([*(CHECKOUT / "api").rglob("*.py"), *WORKER.rglob("*.py")]):
        if path.parent not in explained:
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def problems() -> Iterator[str]:
    """The codes with which the api raises a `Problem`, where they are written out."""
    for path in sorted((CHECKOUT / "api").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="Problem"), args=[ast.Constant(value=str(code)), *_]
                ):
                    yield code


def test_every_problem_of_the_api_has_a_code_that_it_can_word() -> None:
    raised = set(problems())
    assert raised <= set(ERRORS), "ERRORS of api/texts/errors.py"
    assert {"not-found", "form-submitted"} <= raised, "they are found"


def test_every_error_code_is_raised_somewhere() -> None:
    assert set(ERRORS) <= set(written()), "raise Problem or FileRejected with it, or take it away"


def test_every_rejection_and_notice_of_the_worker_is_one_that_the_api_can_word() -> None:
    codes = list(said())
    rejections = {code for how, code in codes if how == "FileRejected"}
    notices = {code for how, code in codes if how in {"notice", "Notice"}}
    assert rejections <= REJECTIONS, "REJECTION_PLACEHOLDERS of shared/codes.py"
    assert notices <= NOTICES, "NOTICE_PLACEHOLDERS of shared/codes.py"
    assert {"file-corrupt", "image-too-small"} <= rejections, "they are found"
    assert {"converted", "low-resolution"} <= notices, "they are found"


def test_every_code_that_a_file_is_rejected_for_says_what_its_text_can_tell() -> None:
    rejections = {code for code, (status, _) in UPLOADS.items() if status == "rejected"}
    assert rejections == REJECTIONS, "REJECTION_PLACEHOLDERS of shared/codes.py"
