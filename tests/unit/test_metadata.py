"""What an object says of itself fits into headers, whatever a person called the file."""

from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.openapi.examples import ORDER
from shared.internal_api import WorkOrder
from worker.object_store.metadata import MAX_BYTES, header_text, metadata_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_any_name_comes_back_and_is_a_header(name: str) -> None:
    sent = header_text(name)
    assert sent.isascii()
    assert sent.isprintable()
    assert sent == " ".join(sent.split())
    assert all(len(word) <= 75 for word in sent.split() if sent != name)
    assert len(sent) < 500
    whole = len(name.encode()) <= MAX_BYTES
    read = str(make_header(decode_header(sent)))
    assert read == name if whole else name.startswith(read)


def test_a_plain_name_is_sent_as_it_is() -> None:
    assert header_text("licence (2) 100%.pdf") == "licence (2) 100%.pdf"


@pytest.mark.parametrize(
    "name", ["a\r\nx-amz-acl: public-read", "a\x00b", "\ud800", "=?UTF-8?B?eA==?="]
)
def test_nothing_in_a_name_is_taken_for_more_than_a_name(name: str) -> None:
    assert header_text(name).startswith("=?UTF-8?B?") or header_text(name) == "?"


def test_what_isnt_known_is_left_out() -> None:
    order = WorkOrder.model_validate({**ORDER, "filename": None})
    assert metadata_of(order, None) == {"upload-id": order.upload_id}
