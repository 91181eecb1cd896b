"""Odd but legal: what libraries and uploaders really send is read as it is meant, or refused with a
code; nothing is taken for what it isn't."""

import base64
import unicodedata
from urllib.parse import quote

import httpx
import pytest

from tests.support.client import FormClient, exchange, problem
from tests.support.files import pdf, png

# What is read and refused is the same on both; PostgreSQL is the stricter with what it is given.
pytestmark = pytest.mark.parametrize(
    "stack",
    ["postgresql", pytest.param("sqlite", marks=pytest.mark.slow)],
    indirect=True,
    scope="session",
)

Part = tuple[str, bytes]
DISPOSITION = 'Content-Disposition: form-data; name="{}"'


def sent(form: FormClient, path: str, *parts: Part, method: str = "POST") -> httpx.Response:
    """Parts with their heads as they are written."""
    body = b"".join(
        b"--b\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return form.http.request(method, path, content=body + b"--b--\r\n", headers=headers)


def uploads(form: FormClient, field: str = "needed") -> str:
    return f"{form.path}/fields/{field}/uploads"


STARRED = "Content-Disposition: form-data; name=\"needed\"; filename*=utf-8''%C3%A9t%C3%A9.png"


def test_a_file_whose_name_comes_by_filename_star_alone_is_a_file_everywhere(
    form: FormClient,
) -> None:
    assert sent(form, uploads(form), (STARRED, png())).json()["filename"] == "été.png"
    saved = sent(form, form.path, (STARRED, png()), method="PATCH")
    assert saved.status_code == 202
    assert [each["filename"] for each in saved.json()["uploads"]["needed"]] == ["été.png"] * 2
    posted = sent(form, form.path, (STARRED, png()))
    assert posted.status_code == 303
    assert len(form.read()["uploads"]["needed"]) == 3


def test_a_file_without_any_name_is_one_by_its_type(form: FormClient) -> None:
    head = DISPOSITION.format("needed") + "\r\nContent-Type: "
    assert sent(form, uploads(form), (head + "image/png", png())).json()["filename"] == "file"
    for declared in ("Image/PNG; x=y", "application/octet-stream"):
        assert sent(form, form.path, (head + declared, png()), method="PATCH").status_code == 202
    assert len(form.read()["uploads"]["needed"]) == 3


def test_bytes_of_no_type_for_a_text_are_a_text(form: FormClient) -> None:
    head = DISPOSITION.format("note") + "\r\nContent-Type: application/octet-stream"
    assert sent(form, form.path, (head, b"Ada"), method="PATCH").json()["data"] == {"note": "Ada"}


def test_an_encoded_file_is_stored_as_the_bytes_it_stands_for(form: FormClient) -> None:
    head = DISPOSITION.format("f") + '; filename="a.png"\r\nContent-Transfer-Encoding: Base64'
    answer = sent(form, uploads(form), (head, base64.encodebytes(png())))
    assert answer.json()["size"] == len(png())
    assert form.final(answer.json())["status"] == "stored"


def test_encoded_texts_are_kept_as_what_they_stand_for(form: FormClient) -> None:
    head = DISPOSITION.format("note") + "\r\nContent-Transfer-Encoding: "
    for encoding, encoded, text in (
        ("base64", b"QWRh", "Ada"),
        ("quoted-printable", b"Jos=C3=A9", "José"),
        ("8bit", b"=C3", "=C3"),
    ):
        answer = sent(form, form.path, (head + encoding, encoded), method="PATCH")
        assert answer.json()["data"] == {"note": text}


def test_a_transfer_encoding_that_isnt_known_is_refused(form: FormClient) -> None:
    head = DISPOSITION.format("note") + "\r\nContent-Transfer-Encoding: x-uuencode"
    answer = sent(form, form.path, (head, b"QWRh"), method="PATCH")
    problem(answer, 400, "unsupported-transfer-encoding")
    head = DISPOSITION.format("note") + "\r\nContent-Transfer-Encoding: base64"
    answer = sent(form, form.path, (head, b"QWR!"), method="PATCH")
    problem(answer, 400, "malformed-multipart")
    assert form.read()["data"] == {}


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("Content-Encoding: gzip", (415, "unsupported-content-encoding")),
        ("Content-Encoding: Base64", (415, "unsupported-content-encoding")),
        ("Content-Type: multipart/mixed; boundary=y", (400, "malformed-multipart")),
    ],
)
def test_a_part_that_cant_be_what_it_looks_like_is_refused(
    form: FormClient, head: str, code: tuple[int, str]
) -> None:
    for plain in (DISPOSITION.format("note"), DISPOSITION.format("file") + '; filename="a"'):
        for method, path in (("PATCH", form.path), ("POST", uploads(form))):
            problem(sent(form, path, (f"{plain}\r\n{head}", b"YQ=="), method=method), *code)
    assert form.read()["data"] == {}


@pytest.mark.parametrize("coding", ["identity", "utf-8", "binary"])
def test_a_part_that_says_it_is_not_encoded_is_taken(form: FormClient, coding: str) -> None:
    head = f"{DISPOSITION.format('note')}\r\nContent-Encoding: {coding}"
    assert sent(form, form.path, (head, b"Ada"), method="PATCH").json()["data"] == {"note": "Ada"}


def test_a_texts_charset_is_its_own_or_that_of_the_form_or_utf_8(form: FormClient) -> None:
    plain, own = DISPOSITION.format("note"), "\r\nContent-Type: text/plain; charset="
    for parts, text in (
        ([(plain + own + "iso-8859-1", b"Ren\xe9")], "René"),
        ([(plain + own + '"windows-1252"', b"\x80")], "€"),
        ([(plain, b"Ren\xe9"), (DISPOSITION.format("_charset_"), b"iso-8859-1")], "René"),
        ([(plain, "René".encode())], "René"),
    ):
        answer = sent(form, form.path, *parts, method="PATCH")
        assert answer.json()["data"] == {"note": text}, answer.text


@pytest.mark.parametrize("head", ["", "\r\nContent-Type: text/plain; charset=punycode"])
def test_a_text_that_cant_be_read_is_its_fields_problem_and_loses_nothing_else(
    form: FormClient, head: str
) -> None:
    answer = sent(
        form,
        form.path,
        (DISPOSITION.format("note") + head, b"Ren\xe9"),
        (DISPOSITION.format("needed") + '; filename="a.png"', png()),
        method="PATCH",
    )
    assert answer.status_code == 202, answer.text
    [wrong] = answer.json()["problems"]
    assert (wrong["field"], wrong["code"]) == ("note", "unreadable-text")
    assert len(answer.json()["uploads"]["needed"]) == 1


def test_a_text_of_a_page_that_cant_be_read_loses_nothing_else_either(form: FormClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    answer = form.http.post(form.path, content=b"section=only&note=Ren%E9", headers=headers)
    assert [each["code"] for each in answer.json()["problems"]] == ["unreadable-text"]
    answer = form.http.post(
        form.path, content=b"_charset_=windows-1252&section=only&note=Ren%E9", headers=headers
    )
    assert answer.json()["data"] == {"note": "René"}


def test_line_ends_are_stored_and_counted_as_html_does(form: FormClient) -> None:
    typed = "1\r\n3\r5\n" + "\U0001f642" * 7  # as long as the field takes, in UTF-16
    kept = {"note": "1\n3\n5\n" + "\U0001f642" * 7}
    for answer in (
        form.http.patch(form.path, json={"note": typed}),
        form.http.patch(form.path, files={"note": (None, typed.encode())}),
        form.http.post(form.path, data={"note": typed}, headers={"Accept": "application/json"}),
    ):
        assert answer.json()["data"] == kept
        assert answer.json()["problems"] == []
    answer = form.http.patch(form.path, json={"note": typed + "x"})
    assert [each["code"] for each in answer.json()["problems"]] == ["too-long"]


@pytest.mark.parametrize(
    "header",
    [
        ("Content-Range", "bytes 0-99/1000"),
        ("Upload-Offset", "0"),
        ("Upload-Length", "1000"),
        ("Upload-Complete", "?0"),
        ("Tus-Resumable", "1.0.0"),
        ("X-Content-Range", "bytes 0-99/1000"),
        ("Upload-Incomplete", "?1"),
        ("uploader-chunks-total", "3"),
    ],
)
def test_a_piece_that_a_header_tells_of_is_refused_before_the_body(
    form: FormClient, header: tuple[str, str]
) -> None:
    file = {"needed": ("a.png", png(), "image/png")}
    headers = dict([header])
    for answer in (
        form.put("needed", "k", png(), **headers),
        form.http.post(uploads(form), files=file, headers=headers),
        form.http.patch(form.path, files=file, headers=headers),
        form.http.post(form.path, files=file, headers=headers),
    ):
        problem(answer, 400, "fragment-not-supported")
    head = (
        f"PUT {uploads(form)}/k HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {form.token}\r\n"
        f"{header[0]}: {header[1]}\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    )
    raw = exchange(str(form.http.base_url), head.encode(), seconds=5)
    assert raw.startswith(b"HTTP/1.1 400 "), "and no 100 Continue"
    assert form.read()["uploads"]["needed"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"dzuuid": "u", "dzchunkindex": "0", "dztotalchunkcount": "5", "dzchunkbyteoffset": "0"},
        {"dzuuid": "u", "dzchunkindex": "4", "dzchunkbyteoffset": "400"},
        {"resumableChunkNumber": "1", "resumableTotalChunks": "2"},
        {"flowChunkNumber": "2"},
        {"name": "a.png", "chunk": "0", "chunks": "3"},
        {"qqpartindex": "1", "qqtotalparts": "2"},
        {"dztotalchunkcount": "many"},
        {"chunkNumber": "1", "totalChunks": "5"},
        {"metadata": '{"chunkIndex": 0, "totalChunks": 5}'},
        {"chunkMetadata": '{"Index": 0, "TotalCount": 5}'},
        {"chunkIndex": "0", "chunkCount": "2"},
        {"chunk-index": "0", "total-chunk": "2"},
        {"_chunkNumber": "0", "_chunkSize": "10", "_totalSize": "100"},
    ],
)
def test_a_piece_that_fields_tell_of_is_refused_wherever_they_stand(
    form: FormClient, fields: dict[str, str]
) -> None:
    file = (DISPOSITION.format("file") + '; filename="a.png"', png())
    texts = [(DISPOSITION.format(name), value.encode()) for name, value in fields.items()]
    for answer in (
        sent(form, uploads(form), *texts, file),
        sent(form, uploads(form), file, *texts),
        form.http.post(uploads(form), params=fields, files={"file": ("a.png", png())}),
    ):
        assert "whole file" in problem(answer, 400, "fragment-not-supported")["detail"]
    section = sent(form, form.path, *texts, file, method="PATCH")
    assert section.json()["code"] in ("fragment-not-supported", "unknown-field")
    assert form.read()["uploads"]["needed"] == []


def test_the_only_piece_of_a_file_is_a_whole_file(form: FormClient) -> None:
    fields = {
        "metadata": "{}",
        "dzchunkindex": "0",
        "dztotalchunkcount": "1",
        "dzchunkbyteoffset": "0",
        "chunks": "1",
    }
    answer = form.http.post(uploads(form), data=fields, files={"file": ("a.png", png())})
    assert answer.status_code == 202, answer.text


def test_preamble_padding_and_epilogue_are_ignored(form: FormClient) -> None:
    body = (
        b"This is a MIME message.\r\n--bb\r\n--b \t\r\n"
        b'Content-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n'
        + png()
        + b"\r\n--b-- \r\nepilogue"
    )
    headers = {"Content-Type": 'multipart/form-data; boundary="b"'}
    answer = form.http.post(uploads(form), content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.json()["size"] == len(png())


def test_a_part_with_a_range_of_its_own_is_a_piece(form: FormClient) -> None:
    head = DISPOSITION.format("f") + '; filename="a.png"\r\nContent-Range: bytes 0-99/1000'
    problem(sent(form, uploads(form), (head, png())), 400, "fragment-not-supported")


def test_keys_are_the_same_if_their_bytes_are(form: FormClient) -> None:
    composed, decomposed = "é", unicodedata.normalize("NFD", "é")
    ids = {form.put("needed", quote(key), png()).json()["id"] for key in (composed, decomposed)}
    ids |= {form.put("needed", key, png()).json()["id"] for key in ("a%2Fb", "a%252Fb", "A")}
    assert len(ids) == 5
    headers = {"Idempotency-Key": composed.encode()}
    again = form.http.post(
        uploads(form),
        files={"file": ("a.png", png())},
        headers=headers,  # type: ignore[arg-type] # bytes, as they go out
    )
    assert again.json()["id"] in ids, "of the header too"


def test_a_key_that_is_not_utf_8_is_refused(form: FormClient) -> None:
    for raw in ("%E9", "%FF%FE", "a%80"):
        problem(form.put("needed", raw, png()), 400, "bad-request")
    answer = form.http.post(
        uploads(form),
        files={"file": ("a.png", png())},
        headers={"Idempotency-Key": b"\xe9"},  # type: ignore[arg-type] # as it goes out
    )
    problem(answer, 400, "bad-request")
    assert form.read()["uploads"]["needed"] == []


def test_head_of_a_files_content_is_answered_by_the_store_with_its_type_and_size(
    form: FormClient,
) -> None:
    upload = form.stored("needed", pdf(), filename="a.pdf", kind="application/pdf")
    answer = form.http.head(f"/v1/uploads/{upload['id']}/content")
    assert answer.status_code == 307
    followed = httpx.head(answer.headers["location"], trust_env=False)
    assert followed.status_code == 200
    assert followed.headers["content-type"] == "application/pdf"
    assert int(followed.headers["content-length"]) == upload["object"]["size"]
