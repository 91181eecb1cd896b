"""Write the parts of these documents that repeat the code: settings, errors, logs, form types.

Run `.venvs/dev/bin/python -m docs.generate` after a change of any of them. What it writes stands
between markers; `tests/unit/test_docs.py` compares it with what it would write now.
"""  # noqa: INP001 - a folder of documents, not a package

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic_settings import BaseSettings

from api.forms.values import VALUE_PROBLEMS
from api.settings.settings import Settings as ApiSettings
from api.texts.error_guide import ANSWERS, INTERNAL, TO_DO, UPLOADS
from api.texts.errors import ERRORS
from docs.acceptable import acceptable
from docs.form_types import form_type_blocks
from docs.log_meanings import log_blocks
from docs.provoke import provoking
from docs.tables import table
from worker.settings import Settings as WorkerSettings

DOCS = Path(__file__).parent
FORMS = DOCS.parent / "forms"


def blocks() -> dict[str, str]:
    """Every generated block, by the name in its markers."""
    return {
        "settings of the api": _settings(ApiSettings),
        "settings of the worker": _settings(WorkerSettings),
        "answers": _answers(ANSWERS),
        "errors of uploads": _errors_of_uploads(),
        "internal answers": _answers(INTERNAL),
        "problems of values": table(
            ("Code", "Text"),
            ((f"`{code}`", f"{text}") for code, text in VALUE_PROBLEMS.items()),
        ),
        "provoking": provoking(),
        "acceptable": acceptable(FORMS),
        **form_type_blocks(),
        **log_blocks(),
    }


def rendered(page: str) -> str:
    """The page with its blocks as they would be written now."""
    for name, text in blocks().items():
        begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
        if begin in page:
            before, _, rest = page.partition(begin)
            page = f"{before}{begin}\n{text}\n\n{end}{rest.partition(end)[2]}"
    return page


def main() -> None:
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text("utf-8")
        now = rendered(page)
        if now != page:
            path.write_text(now, "utf-8")
            sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")


# --- settings


def _settings(settings: type[BaseSettings]) -> str:
    return table(
        ("Setting", "Default", "Meaning"),
        (
            (
                f"`{name.upper()}`",
                "required" if field.is_required() else _default(field.default),
                field.description or "",
            )
            for name, field in settings.model_fields.items()
        ),
    )


def _default(value: object) -> str:
    match value:
        case None:
            return "–"
        case Path() if value.is_relative_to(tempfile.gettempdir()):  # which differs by machine
            return f"`{value.relative_to(tempfile.gettempdir())}` in the folder for temporary files"
        case tuple():
            return f"`{','.join(map(str, value))}`"
        case _:
            return f"`{value}`"


# --- errors


def _answers(codes: Mapping[str, str]) -> str:
    def row(code: str, when: str) -> tuple[str, ...]:
        spec = ERRORS[code]
        return (
            _anchored(code),
            f"{spec.status}",
            spec.detail,
            when,
            TO_DO[code],
            _yes(spec.retryable),
        )

    head = ("Code", "Status", "Meaning", "When", "What to do", "Retryable")
    by_status = sorted(codes.items(), key=lambda each: ERRORS[each[0]].status)
    return table(head, (row(*each) for each in by_status))


def _errors_of_uploads() -> str:
    def row(code: str, status: str, when: str) -> tuple[str, ...]:
        spec = ERRORS[code]
        cell = f"`{code}`" if code in ANSWERS else _anchored(code)
        return cell, f"`{status}`", spec.detail, when, TO_DO[code], _yes(spec.retryable)

    head = ("Code", "The upload is", "Meaning", "When", "What to do", "Retryable")
    return table(head, (row(code, *each) for code, each in UPLOADS.items()))


def _anchored(code: str) -> str:
    """A cell that `errors.md#code` leads to."""
    return f'<a id="{code}"></a>`{code}`'


def _yes(value: bool) -> str:  # noqa: FBT001 - the one thing it is about
    return "yes" if value else "no"


if __name__ == "__main__":
    main()
