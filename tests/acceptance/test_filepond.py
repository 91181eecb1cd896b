"""FilePond's protocol at its one address a field, as its own code speaks it."""

import hashlib
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.client import FormClient, problem
from tests.support.files import pdf, png

NAME = "Zoë's licence, 100 %.pdf"


def address(form: FormClient, field: str) -> str:
    return f"{form.path}/fields/{field}/filepond"


def process(
    form: FormClient, field: str, *files: tuple[str, bytes], **headers: str
) -> httpx.Response:
    """Metadata as a text part, then the file under the same name, as FilePond orders them."""
    parts: list[tuple[str, Any]] = [(field, (None, "{}"))]
    parts += [(field, (name, content, "application/pdf")) for name, content in files]
    return form.http.post(address(form, field), files=parts, headers=headers)


def upload(form: FormClient, upload_id: str) -> dict[str, Any]:
    return dict(form.http.get(f"/v1/uploads/{upload_id}").json())


def test_the_whole_answer_to_a_file_is_its_upload_id(signup: FormClient) -> None:
    answer = process(signup, "licence", (NAME, pdf()))
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["location"] == f"/v1/uploads/{answer.text}"
    final = signup.final({"id": answer.text})
    assert (final["status"], final["filename"], final["field"]) == ("stored", NAME, "licence")


def test_an_upload_that_is_reverted_is_removed_also_the_second_time(signup: FormClient) -> None:
    upload_id = process(signup, "licence", (NAME, pdf())).text
    for _ in range(2):
        answer = signup.http.request("DELETE", address(signup, "licence"), content=upload_id)
        assert answer.status_code == 204, answer.text
    assert upload(signup, upload_id)["status"] == "removed"


@pytest.mark.parametrize("how", ["restore", "load"])
def test_a_file_that_is_stored_is_read_by_a_link_to_its_object(
    signup: FormClient, how: str
) -> None:
    sent = signup.stored("licence", pdf(), filename=NAME, kind="application/pdf")
    answer = signup.http.get(f"{address(signup, 'licence')}?{how}={sent['id']}")
    assert answer.status_code == 307
    read = httpx.get(answer.headers["location"], trust_env=False)
    assert read.status_code == 200
    assert f"filename*=UTF-8''{quote(NAME, safe='')}" in read.headers["content-disposition"]


def test_nothing_is_fetched_from_elsewhere(signup: FormClient) -> None:
    url = f"{address(signup, 'licence')}?fetch=http://169.254.169.254/latest"
    problem(signup.http.get(url), 501, "fetch-not-supported")


def test_an_upload_is_not_reached_at_the_address_of_another_field_or_form(
    signup: FormClient, stack: Any
) -> None:
    upload_id = process(signup, "licence", (NAME, pdf())).text
    other = FormClient(stack.url)
    for form, field in ((signup, "headshot"), (other, "licence")):
        problem(form.http.get(f"{address(form, field)}?restore={upload_id}"), 404, "not-found")
        taken = form.http.request("DELETE", address(form, field), content=upload_id)
        problem(taken, 404, "not-found")
    assert upload(signup, upload_id)["status"] != "removed"


@pytest.mark.parametrize("said", ["", "nonsense", "upl_" + "a" * 26, "ü"])
def test_an_id_that_is_none_is_not_found(signup: FormClient, said: str) -> None:
    where = address(signup, "licence")
    problem(signup.http.get(where, params={"restore": said}), 404, "not-found")
    problem(signup.http.request("DELETE", where, content=said.encode()), 404, "not-found")


def test_more_than_an_id_is_refused(signup: FormClient) -> None:
    answer = signup.http.request("DELETE", address(signup, "licence"), content=b"x" * 2000)
    problem(answer, 413, "request-too-large")


def test_a_file_comes_in_chunks_and_each_may_come_twice(signup: FormClient) -> None:
    content, size, where = pdf(), len(pdf()) // 2 + 1, address(signup, "licence")
    upload_id = process(signup, "licence", **{"Upload-Length": str(len(content))}).text
    for offset in (0, 0, size, size):
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
            "Upload-Length": str(len(content)),
            "Upload-Name": "licence.pdf",
        }
        chunk, of = content[offset : offset + size], {"patch": upload_id}
        answer = signup.http.patch(where, params=of, content=chunk, headers=headers)
        assert answer.status_code == 204, answer.text
    asked = signup.http.head(where, params={"patch": upload_id})
    assert asked.headers["upload-offset"] == str(len(content))
    final = signup.final({"id": upload_id})
    assert (final["status"], final["filename"]) == ("stored", "licence.pdf")
    assert final["sha256"] == hashlib.sha256(content).hexdigest()


def test_bytes_of_tus_are_refused_while_a_chunk_before_them_is_missing(signup: FormClient) -> None:
    content = pdf()
    upload_id = process(signup, "licence", **{"Upload-Length": str(len(content))}).text
    chunk = content[len(content) // 2 :]
    kind = {"Content-Type": "application/offset+octet-stream"}
    at = {**kind, "Upload-Offset": str(len(content) - len(chunk))}
    where = address(signup, "licence")
    sent = signup.http.patch(where, params={"patch": upload_id}, content=chunk, headers=at)
    assert sent.status_code == 204, sent.text
    of_tus = {**kind, "Tus-Resumable": "1.0.0", "Upload-Offset": str(len(chunk))}
    answer = signup.http.patch(f"/v1/uploads/{upload_id}", content=b"a", headers=of_tus)
    problem(answer, 422, "piece-mismatch")


def test_two_files_at_once_are_refused(signup: FormClient) -> None:
    two = process(signup, "licence", (NAME, pdf()), ("small.png", png()))
    problem(two, 422, "too-many-files")


def test_without_the_token_nothing_is_found_out(signup: FormClient) -> None:
    upload_id = process(signup, "licence", (NAME, pdf())).text
    where = f"{signup.http.base_url}{address(signup, 'licence')}"
    for answer in (
        httpx.get(f"{where}?restore={upload_id}", trust_env=False),
        httpx.request("DELETE", where, content=upload_id, trust_env=False),
        httpx.post(where, files={"file": pdf()}, trust_env=False),
    ):
        problem(answer, 401, "unauthorized")
