"""What a person and a back end see of the virus scanner."""

from collections.abc import Iterator

import pytest

from tests.support.clamd import EICAR, running_clamd
from tests.support.client import FormClient
from tests.support.files import jpeg, pdf, png
from tests.support.stack import Stack, forms_folder

FORM = """
type = "scanned"
title = "Scanned"

[[sections]]
name = "only"
title = "Only"

[[sections.fields]]
name = "usual"
label = "Usual"
kind = "file"
accept = ["application/pdf", "image/jpeg"]
max_bytes = 1_000_000

[[sections.fields]]
name = "locked"
label = "Locked"
kind = "file"
accept = ["application/pdf"]
max_bytes = 1_000_000
pdf = { encrypted = true }

[[sections.fields]]
name = "lenient"
label = "Lenient"
kind = "file"
accept = ["application/pdf"]
max_bytes = 1_000_000
pdf = { encrypted = true }
unscannable = "accept"

[[sections.fields]]
name = "keeping"
label = "Keeping"
kind = "file"
accept = ["application/pdf"]
max_bytes = 1_000_000
flag = ["file-infected"]

[[sections.fields]]
name = "unscanned"
label = "Unscanned"
kind = "file"
accept = ["application/pdf"]
max_bytes = 1_000_000
scan = false
"""


@pytest.fixture(scope="module")
def scanning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("scanned")
    (forms_folder(folder / "forms") / "scanned.toml").write_text(FORM)
    with running_clamd(folder / "clamd") as clamd:
        env = {"CLAMD_ADDRESS": clamd.address, "FORMS_DIR": str(folder / "forms")}
        stack = Stack(folder / "state", env)
        try:
            yield stack.start()
        finally:
            stack.stop()


@pytest.fixture
def form(scanning: Stack) -> Iterator[FormClient]:
    client = FormClient(scanning.url, "scanned")
    yield client
    client.http.close()


def with_virus(content: bytes) -> bytes:
    return content + b"\n%" + EICAR + b"\n"


def in_a_comment(photo: bytes) -> bytes:
    """Of a JPEG: no pixel shows it, and it would be gone from what is stored."""
    return photo[:2] + b"\xff\xfe" + (len(EICAR) + 2).to_bytes(2) + EICAR + photo[2:]


@pytest.mark.parametrize(
    ("content", "kind"),
    [(with_virus(pdf()), "application/pdf"), (in_a_comment(jpeg()), "image/jpeg")],
    ids=["pdf", "jpeg"],
)
def test_a_virus_is_refused_and_the_good_file_beside_it_is_stored(
    form: FormClient, content: bytes, kind: str
) -> None:
    bad = form.upload("usual", content, kind=kind)
    good = form.upload("unscanned", pdf(), kind="application/pdf")
    rejected, stored = form.final(bad), form.final(good)
    assert (rejected["status"], stored["status"]) == ("rejected", "stored")
    assert rejected["error"]["code"] == "file-infected"
    assert rejected["error"]["params"] == {}, "by which signature, the record knows"
    assert rejected["scan"].keys() == {"verdict", "at"}
    assert rejected["scan"]["verdict"] == "infected"
    assert rejected["attempts"] == 1


def test_a_virus_that_the_field_keeps_is_stored_as_it_came_and_withheld(form: FormClient) -> None:
    kept = form.final(form.upload("keeping", with_virus(pdf()), kind="application/pdf"))
    assert (kept["status"], kept["public_url"], kept["error"]) == ("stored", None, None)
    assert [flag["code"] for flag in kept["flags"]] == ["file-infected"]
    assert kept["scan"]["verdict"] == "infected"
    assert kept["object"]["sha256"] == kept["sha256"]
    assert form.read()["data"].get("keeping") is None


def test_a_clean_file_says_since_when_it_is_known_to_be_clean(form: FormClient) -> None:
    upload = form.upload("usual", pdf(), kind="application/pdf")
    assert upload["scan"] is None
    stored = form.final(upload)
    assert stored["scan"]["verdict"] == "clean"
    assert stored["created_at"] <= stored["scan"]["at"] <= stored["updated_at"]
    assert stored["notices"] == []


def test_what_the_field_refuses_by_itself_is_told_in_the_words_that_help(form: FormClient) -> None:
    upload = form.upload("usual", pdf(password="secret"), kind="application/pdf")
    rejected = form.final(upload)
    assert rejected["error"]["code"] == "file-encrypted"
    assert rejected["scan"]["verdict"] == "unscannable"


def test_what_cannot_be_looked_into_is_refused_where_the_field_does_not_accept_it(
    form: FormClient,
) -> None:
    rejected = form.final(form.upload("locked", pdf(password="secret"), kind="application/pdf"))
    assert rejected["error"]["code"] == "file-unscannable"
    assert rejected["scan"]["verdict"] == "unscannable"


def test_what_cannot_be_looked_into_is_stored_with_a_notice_where_the_field_accepts_it(
    form: FormClient,
) -> None:
    stored = form.final(form.upload("lenient", pdf(password="secret"), kind="application/pdf"))
    assert stored["status"] == "stored"
    assert stored["scan"]["verdict"] == "unscannable"
    (notice,) = [each for each in stored["notices"] if each["code"] == "not-scanned"]
    assert notice["params"] == {}


def test_a_virus_is_refused_where_what_cannot_be_looked_into_is_accepted(form: FormClient) -> None:
    rejected = form.final(form.upload("lenient", with_virus(pdf()), kind="application/pdf"))
    assert rejected["error"]["code"] == "file-infected"


def test_a_field_that_is_not_scanned_says_so(form: FormClient) -> None:
    stored = form.final(form.upload("unscanned", with_virus(pdf()), kind="application/pdf"))
    assert (stored["status"], stored["scan"]["verdict"]) == ("stored", "skipped")


def test_an_image_of_another_type_than_the_field_takes_is_refused_as_ever(form: FormClient) -> None:
    rejected = form.final(form.upload("usual", png()))
    assert (rejected["error"]["code"], rejected["scan"]["verdict"]) == (
        "file-invalid-type",
        "clean",
    )
