"""A résumé from a word processor goes through the whole stack, and a PDF is in the bucket."""

import hashlib
import io

import httpx
import pikepdf

from tests.support import documents
from tests.support.client import FormClient
from tests.support.documents import needs_office

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@needs_office
def test_a_docx_becomes_a_pdf_in_the_bucket(signup: FormClient) -> None:
    sent = documents.docx(5)
    stored = signup.stored("resume", sent, filename="Lebenslauf Müßig.docx", kind=WORD)
    assert stored["detected_type"] == WORD
    assert stored["object"]["content_type"] == "application/pdf"
    assert stored["object"]["pages"] == 5
    assert stored["public_url"].endswith("/resume.pdf")
    said = {notice["code"]: notice["detail"] for notice in stored["notices"]}
    assert "DOCX" in said["converted"]

    answer = signup.http.get(f"/v1/uploads/{stored['id']}/content")
    fetched = httpx.get(answer.headers["location"], trust_env=False)
    assert hashlib.sha256(fetched.content).hexdigest() == stored["object"]["sha256"]
    with pikepdf.open(io.BytesIO(fetched.content)) as pdf:
        assert len(pdf.pages) == 5


def test_a_document_that_is_locked_is_rejected_with_what_to_do(signup: FormClient) -> None:
    locked = documents.compound({"EncryptedPackage": b"x", "EncryptionInfo": b"y"})
    sent = signup.upload("resume", locked, filename="cv.docx", kind=WORD)
    ended = signup.final(sent)
    assert ended["status"] == "rejected"
    assert ended["error"]["code"] == "file-encrypted"
