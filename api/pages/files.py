"""Files as the pages list them: one line for what there is of a file, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.pages.models import reason
from api.records.rows import ShownUpload
from shared.form_definition import FileField
from shared.status import PENDING, UploadStatus

_STATES = {
    UploadStatus.RECEIVING: "Not all here yet",
    UploadStatus.STAGED: "Received. We are checking it",
    UploadStatus.PROCESSING: "Received. We are checking it",
    UploadStatus.STORED: "Stored",
    UploadStatus.REJECTED: "Not accepted",
}
_WITHHELD = "We have this file and are checking it. You can go on."
_STAYS = {
    True: "Stored. The new file takes its place once it is checked",
    False: "Stored. We keep this one, since the newer file can't be used",
}
"""Of the file before the newest one, by whether that is still being checked."""


@dataclass(frozen=True, slots=True)
class FileLine:
    """One upload as its field's list shows it."""

    id: str
    filename: str
    size: int
    status: str
    state: str
    """Its status, in words."""
    reason: str | None
    """Why it was refused."""
    notices: list[str]
    content: str | None
    """Where its object can be fetched, once it is stored."""
    picture: str | None
    """Where a small picture of it can be fetched."""


def file_lines(field: FileField, uploads: Sequence[ShownUpload]) -> list[FileLine]:
    """Of one field, from its uploads that count, oldest first.

    In a field for one file that is the newest, and beside it the one that stays for as long as the
    newest isn't stored.
    """
    rows = [row for row in uploads if row.field == field.name]
    if field.max_files > 1 or not rows:
        return [file_line(row) for row in rows]
    newest = rows[-1]
    if newest.status is UploadStatus.STORED:
        return [file_line(newest)]
    good = [row for row in rows[:-1] if row.status is UploadStatus.STORED]
    if good:
        stays = _STAYS[newest.status in PENDING]
        return [file_line(good[-1], stays), file_line(newest)]
    under_way = [row for row in rows[:-1] if row.status in PENDING]
    if newest.status is UploadStatus.REJECTED and under_way:
        return [file_line(under_way[-1]), file_line(newest)]
    return [file_line(newest)]


def file_line(row: ShownUpload, state: str = "") -> FileLine:
    """One upload, with `state` in place of the words for its status."""
    is_there = row.status is UploadStatus.STORED and not row.withheld
    if row.status is UploadStatus.FAILED:
        state = reason(row)
    elif row.status is UploadStatus.STORED and row.withheld:
        state = _WITHHELD
    content = f"/v1/uploads/{row.id}/content" if is_there else None
    smallest = _smallest(row)
    return FileLine(
        id=row.id,
        filename=row.filename,
        size=row.size,
        status=row.status,
        state=state or _STATES.get(row.status, ""),
        reason=reason(row) if row.status is UploadStatus.REJECTED else None,
        notices=[str(each["detail"]) for each in row.notices],
        content=content,
        picture=f"{content}/{smallest}?inline" if content and smallest else None,
    )


def _smallest(row: ShownUpload) -> str | None:
    """The name of the smallest picture that was made of it."""
    pictures = {name: each for name, each in row.derivatives.items() if each.get("width")}
    return min(pictures, key=lambda name: pictures[name]["width"], default=None)
