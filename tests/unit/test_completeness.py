"""What stands between a form and being whole (protocol P10)."""

from dataclasses import replace

import pytest

from api.forms.completeness import Completeness, judge
from api.records.rows import FormRow, ShownUpload
from shared.form_definition import FormType
from shared.status import UploadStatus

STORED, REJECTED, FAILED = UploadStatus.STORED, UploadStatus.REJECTED, UploadStatus.FAILED
STAGED, PROCESSING = UploadStatus.STAGED, UploadStatus.PROCESSING
FILE = {"kind": "file", "label": "A file", "accept": ["image/png"], "max_bytes": 1000}
FORM_TYPE = FormType.model_validate(
    {
        "type": "judged",
        "title": "Judged",
        "sections": [
            {
                "name": "files",
                "title": "Files",
                "fields": [
                    {"name": "one", "required": True, **FILE},
                    {"name": "many", "max_files": 3, **FILE},
                ],
            }
        ],
    }
)
FORM = FormRow(
    id="frm_1", type="judged", reference=None, status="draft", token_hash="", data={}, version=1,
    edit=1, created_at=0, updated_at=0, submitted_at=None, success_redirect=None,
    error_redirect=None, metadata=None, edited_at=None,
)  # fmt: skip # a row
UPLOAD = ShownUpload(
    id="upl_1", form_id="frm_1", field="one", slot="one", status=STAGED, stage=None, version=1,
    attempts=0, filename="a.png", size=1, sha256=None, declared_type=None, detected_type=None,
    object=None, derivatives={}, notices=[], flags=[], withheld=False, released_at=None, error=None,
    scan=None, public_url=None, created_at=0, updated_at=0, received=None, deadline=0,
)  # fmt: skip # a row


def judged(*statuses: UploadStatus) -> Completeness:
    """The field for one file, whose uploads have these states, oldest first."""
    rows = [
        replace(UPLOAD, id=f"upl_{at}", status=status, error={"detail": "It is bad."})
        for at, status in enumerate(statuses)
    ]
    return judge(FORM_TYPE, FORM, rows)


@pytest.mark.parametrize(
    ("statuses", "waits"),
    [
        ([STAGED], ["upl_0"]),
        ([STAGED, PROCESSING], ["upl_1"]),  # the older one can't come to count any more
        ([STAGED, REJECTED], ["upl_0"]),  # it may still do
        ([STORED, STAGED, REJECTED], []),
        ([STAGED, STORED], []),
        ([STAGED, FAILED], []),
    ],
)
def test_what_is_waited_for_is_the_newest_file_and_an_older_one_that_may_still_do(
    statuses: list[UploadStatus], waits: list[str]
) -> None:
    assert [row.id for row in judged(*statuses).pending] == waits


@pytest.mark.parametrize(
    ("statuses", "codes"),
    [
        ([], ["required"]),
        ([UploadStatus.REMOVED], ["required"]),
        ([REJECTED], ["upload-rejected"]),
        ([STAGED, REJECTED], ["upload-rejected"]),
        ([STORED, REJECTED], []),
        ([FAILED], []),
        ([STAGED], []),
        ([STORED], []),
    ],
)
def test_a_required_file_is_missing_until_one_is_there_or_may_come(
    statuses: list[UploadStatus], codes: list[str]
) -> None:
    found = judged(*statuses)
    assert [error["code"] for error in found.errors] == codes
    assert all(error["detail"] == "It is bad." for error in found.errors if REJECTED in statuses)


@pytest.mark.parametrize(
    ("statuses", "complete"),
    [([STORED], True), ([STORED, REJECTED], True), ([STORED, STAGED], False), ([FAILED], False)],
)
def test_a_form_is_whole_once_nothing_is_left_to_wait_for(
    statuses: list[UploadStatus], *, complete: bool
) -> None:
    assert judged(*statuses).complete is complete


def test_a_rejected_file_beside_a_good_one_is_a_notice_that_the_earlier_one_is_kept() -> None:
    (notice,) = judged(STORED, REJECTED).notices
    assert notice["detail"] == "A file: the earlier file is kept. It is bad."


def test_a_flagged_file_is_kept_aside_and_asks_nothing_of_the_person() -> None:
    found = judge(FORM_TYPE, FORM, [replace(UPLOAD, status=STORED, withheld=True)])
    assert [row.id for row in found.withheld] == [UPLOAD.id]
    assert found.errors == []
    assert not found.complete


def test_each_file_of_a_field_for_many_counts_by_itself() -> None:
    rows = [
        replace(UPLOAD, id=f"upl_{at}", field="many", slot=f"upl_{at}", status=status)
        for at, status in enumerate([STORED, STAGED, FAILED, REJECTED])
    ]
    found = judge(FORM_TYPE, replace(FORM, data={}), [replace(UPLOAD, status=STORED), *rows])
    assert [row.id for row in found.pending] == ["upl_1"]
    assert [row.id for row in found.failed] == ["upl_2"]
    assert [notice["field"] for notice in found.notices] == ["many"]
