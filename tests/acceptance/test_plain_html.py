"""The signup as plain HTML: what a browser without JavaScript sends, and what it is shown."""

import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx
import pytest

from tests.support.client import FormClient, problem
from tests.support.files import jpeg, pdf, png
from tests.support.stack import Stack

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
COOKIE = "longshore_form"
NO_FILE = ("", b"", "application/octet-stream")
ABOUT = {"section": "about", "full_name": "Ann", "email": "ann@example.org", "phone": ""}
SMALL = ("small.jpg", jpeg(), "image/jpeg")


class Person:
    """A browser without JavaScript: it keeps cookies and posts what the page's form says."""

    def __init__(self, url: str) -> None:
        self.origin = url
        self.http = httpx.Client(
            base_url=url, headers={"Accept": BROWSER}, timeout=60, trust_env=False
        )
        self.page = self.http.get("/")

    def post(self, data: dict[str, Any], files: Any = None, **headers: str) -> httpx.Response:
        """Send the page's form, and go where the answer says."""
        action = re.findall(r'<form method="post" action="([^"]+)"', self.page.text)[0]
        given = {"Origin": self.origin, **headers}
        answer = self.http.post(action, data=data, files=files, headers=given)
        if answer.status_code == 303:
            self.page = self.http.get(answer.headers["location"])
        else:
            self.page = answer
        return answer

    def begin(self) -> httpx.Response:
        return self.post(ABOUT, {"headshot": NO_FILE})

    @property
    def form_id(self) -> str:
        return str(re.findall(r'action="/v1/forms/(frm_\w+)"', self.page.text)[0])

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.page.text)).split())

    def see(self, text: str, seconds: float = 60) -> None:
        """Refresh until the page says so."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < deadline, f"no {text!r} in {self.text}"
            time.sleep(0.3)
            self.page = self.http.get(self.page.url)


@pytest.fixture
def person(stack: Stack) -> Iterator[Person]:
    someone = Person(stack.url)
    yield someone
    someone.http.close()


def test_reading_the_first_page_creates_nothing_and_sets_no_cookie(person: Person) -> None:
    assert person.page.status_code == 200
    assert "set-cookie" not in person.page.headers
    assert 'type="file"' in person.page.text
    scripts = re.findall(r"<script[^>]*>.*?</script>", person.page.text, re.DOTALL)
    assert scripts == ['<script type="module" src="/static/signup.js"></script>'], "none inline"
    assert "script-src 'self'" in person.page.headers["content-security-policy"]
    assert person.page.headers["cache-control"] == "no-store"


def test_the_first_post_creates_the_form_and_goes_on_to_the_next_section(person: Person) -> None:
    answer = person.post(ABOUT, {"headshot": ("me.jpg", jpeg(500, 500), "image/jpeg")})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/signup/credentials"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=lst_")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "secure" not in cookie.lower(), "it came over http"
    assert person.page.headers["cache-control"] == "no-store"
    assert "Your licence" in person.text
    person.page = person.http.get("/signup/about")
    assert 'value="ann@example.org"' in person.page.text
    person.see("me.jpg")
    person.see("Stored")


def test_a_wrong_value_is_told_beside_its_field_and_kept(person: Person) -> None:
    answer = person.post({**ABOUT, "email": 'nobody "<b>"'}, {"headshot": NO_FILE})
    assert answer.headers["location"] == "/signup/about"
    html = person.page.text
    assert 'value="nobody &#34;&lt;b&gt;&#34;"' in html
    assert '<a href="#email">Email address must be an email address' in html
    assert 'role="alert"' in html
    field = re.findall(r'<input type="email"[^>]+>', html)[0]
    assert 'aria-invalid="true"' in field
    assert "email-problem" in re.findall(r'aria-describedby="([^"]+)"', field)[0].split()
    assert 'id="email-problem"' in html
    assert "<title>Error: " in html


def test_a_wrong_date_stays_visible(person: Person) -> None:
    person.begin()
    person.post({"section": "credentials", "licence_expires": "31/3/2027"}, {"licence": NO_FILE})
    assert 'type="text" value="31/3/2027"' in person.page.text
    assert "must be a real date" in person.text


def test_a_value_that_cant_be_kept_is_told_beside_its_field(person: Person) -> None:
    person.begin()
    answer = person.post({"section": "practice", "website": "https://a.example", "bio": "a\0b"})
    assert answer.status_code == 303
    assert 'id="bio-problem"' in person.page.text
    assert '<a href="#bio">' in person.page.text
    assert 'value="https://a.example"' in person.page.text


def test_a_file_over_its_limit_brings_the_person_back_and_keeps_the_rest(stack: Stack) -> None:
    client = FormClient(stack.url, "acceptance")
    answer = client.http.post(
        client.path,
        data={"section": "only", "note": "typed"},
        files={"tiny": ("big.png", b"x" * 3_000, "image/png")},
    )
    assert answer.status_code == 303
    page = client.http.get(answer.headers["location"])
    assert "big.png: The selected file must be smaller than 2 KB" in page.text
    assert 'value="typed"' in page.text
    assert client.read()["data"]["note"] == "typed"


def test_a_rejected_file_is_explained_and_can_be_removed(person: Person) -> None:
    person.post(ABOUT, {"headshot": SMALL})
    person.see("1 problem")
    person.page = person.http.get("/signup/about")
    assert "small.jpg: The selected image must be at least 400 × 400 pixels" in person.text
    upload_id = re.findall(r'name="remove" value="(upl_\w+)"', person.page.text)[0]
    typed = {**ABOUT, "full_name": "Ann Typed", "remove": upload_id}
    answer = person.post(typed, {"headshot": NO_FILE})
    assert answer.headers["location"] == "/signup/about#headshot"
    assert "small.jpg" not in person.text
    assert 'value="Ann Typed"' in person.page.text
    again = person.post(typed, {"headshot": NO_FILE})
    assert again.status_code == 303, "pressed twice"


def test_the_enter_key_saves_and_removes_nothing(person: Person) -> None:
    person.post(ABOUT, {"headshot": SMALL})
    page = person.http.get("/signup/about").text
    first = re.findall(r"<button([^>]*)>", page)[0]
    assert "name=" not in first
    assert 'form="section"' in first


def test_an_absent_checkbox_of_the_section_is_unticked(person: Person) -> None:
    person.begin()
    person.page = person.http.get("/signup/practice")
    person.post({"section": "practice", "bio": "Two\r\nlines", "accepts_insurance": "on"})
    person.page = person.http.get("/signup/practice")
    assert re.findall(r'<input type="checkbox"[^>]+checked', person.page.text)
    assert "Two\nlines" in person.page.text
    person.post({"section": "documents"}, {"resume": NO_FILE})
    person.page = person.http.get("/signup/practice")
    assert re.findall(r'<input type="checkbox"[^>]+checked', person.page.text), "another section's"
    person.post({"section": "practice"})
    person.page = person.http.get("/signup/practice")
    assert not re.findall(r'<input type="checkbox"[^>]+checked', person.page.text)


def test_a_person_checks_and_sends_the_form(person: Person) -> None:
    person.begin()
    token = person.http.cookies[COOKIE]
    form_id = person.form_id
    person.page = person.http.get("/signup/documents")
    answer = person.post({"section": "documents"}, {"resume": NO_FILE})
    assert answer.headers["location"] == "/signup/check-answers"
    assert "Choose a copy of your licence" in person.text
    assert "Still needed" in person.text, "nothing was pressed that could be a problem"
    assert 'href="/signup/credentials?missing=1#licence"' in person.page.text
    refused = person.post({"submit": "1"})
    assert refused.headers["location"] == "/signup/check-answers?missing=1"
    assert "There is a problem" in person.text
    assert "Confirm that what you have given is true and complete" in person.text
    person.page = person.http.get("/signup/credentials?missing=1")
    assert '<a href="#licence">Choose a copy of your licence' in person.page.text
    person.post({"section": "credentials"}, {"licence": ("l.pdf", pdf(), "application/pdf")})
    person.post({"section": "documents", "agree": "on", "submit": "1"})
    assert "Thank you" in person.text
    assert COOKIE not in person.http.cookies
    assert "Full name" in person.http.get("/").text
    assert 'value="Ann"' not in person.http.get("/").text
    bearer = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    read = person.http.get(f"/v1/forms/{form_id}", headers=bearer).json()
    assert read["status"] == "submitted"
    assert read["complete"] is True


def test_an_empty_first_section_is_told_and_begins_no_draft(person: Person) -> None:
    answer = person.post({"section": "about", "full_name": " ", "email": ""}, {"headshot": NO_FILE})
    assert answer.headers["location"] == "/?missing=1"
    assert "set-cookie" not in answer.headers
    assert '<a href="#full_name">Enter your full name' in person.page.text
    assert "Agree" not in person.text
    on = person.post({"section": "about", "go": "practice"}, {"headshot": NO_FILE})
    assert on.headers["location"] == "/signup/practice", "who wants to look around may"


def test_going_anywhere_saves_what_was_typed(person: Person) -> None:
    person.post({**ABOUT, "email": "nobody", "go": "documents"}, {"headshot": NO_FILE})
    assert "Step 4 of 5" in person.text
    assert "1 problem in About you" in person.text
    person.post({"section": "documents", "agree": "on", "go": "check"}, {"resume": NO_FILE})
    assert "Check your answers" in person.text
    person.page = person.http.get("/signup/about")
    assert 'value="nobody"' in person.page.text
    for name, step in (
        ("About you", "1 problem"),
        ("Documents", "Done"),
        ("Your licence", "To do"),
    ):
        assert f"{name} {step}" in person.text
    assert "Your practice Optional" in person.text
    nowhere = person.post({"section": "about", "go": "nowhere"})
    assert nowhere.status_code == 422


def test_saving_a_section_again_stores_no_file_twice(person: Person) -> None:
    person.begin()
    person.page = person.http.get("/signup/credentials")
    files = [("certificates", (f"{name}.pdf", pdf(), "application/pdf")) for name in "ab"]
    for _ in range(2):
        person.post({"section": "credentials", "go": "credentials"}, files)
    assert len(re.findall(r'name="remove"', person.page.text)) == 2


def test_of_a_file_that_is_refused_again_and_again_the_page_tells_the_last(person: Person) -> None:
    person.begin()
    for name in ("first.jpg", "second.jpg", "third.jpg"):
        person.page = person.http.get("/signup/about")
        person.post({"section": "about"}, {"headshot": (name, jpeg(), "image/jpeg")})
        person.page = person.http.get("/signup/about")
        person.see(f"{name}: The selected image")
    assert person.text.count("Not accepted") == 1
    assert "second.jpg" not in person.text
    upload_id = re.findall(r'name="remove" value="(upl_\w+)"', person.page.text)[0]
    person.post({"section": "about", "remove": upload_id})
    assert ".jpg" not in person.text, "what was refused before is history, too"


def test_files_that_are_far_too_large_lose_none_of_what_was_typed(stack: Stack) -> None:
    client = FormClient(stack.url, "flagging")
    answer = client.http.post(
        client.path,
        data={"section": "only", "note": "typed"},
        files={"needed": ("film.pdf", b"x" * 14_000_000, "application/pdf")},
    )
    assert answer.status_code == 303
    page = client.http.get(answer.headers["location"])
    assert "film.pdf: The selected file must be smaller than 12 MB" in page.text
    assert 'value="typed"' in page.text
    script = client.http.patch(client.path, files={"needed": ("film.pdf", b"x" * 14_000_000)})
    assert script.status_code == 413, "a script has what was typed"


def test_coming_back_shows_a_photo_again(person: Person) -> None:
    person.post({**ABOUT, "go": "about"}, {"headshot": ("me.jpg", jpeg(500, 500), "image/jpeg")})
    person.see("Stored")
    (picture,) = re.findall(r'<img class="preview" src="([^"]+)"', person.page.text)
    shown = person.http.get(picture, headers={"Sec-Fetch-Site": "same-origin"})
    assert shown.status_code == 307
    store = "/".join(shown.headers["location"].split("/")[:3])
    assert store in person.page.headers["content-security-policy"].split("img-src")[1].split(";")[0]
    (link,) = re.findall(r'<a class="filename" href="([^"]+)"', person.page.text)
    assert person.http.get(link).status_code == 307


def test_where_a_newer_file_is_refused_the_earlier_one_is_said_to_be_kept(person: Person) -> None:
    person.begin()
    for file in (pdf(), pdf(password="sesame")):
        person.page = person.http.get("/signup/credentials")
        person.post({"section": "credentials"}, {"licence": ("l.pdf", file, "application/pdf")})
        person.page = person.http.get("/signup/credentials")
        person.see("Stored" if file == pdf() else "password protected")
    person.page = person.http.get("/signup/documents")
    person.post({"section": "documents", "agree": "on"}, {"resume": NO_FILE})
    person.see("You can send: we keep the earlier file.")
    person.post({"submit": "1"})
    person.see("We could not use l.pdf. We keep the file that you had sent before it.")
    assert "You sent the form without it" not in person.text


def test_an_optional_file_that_was_refused_hinders_nobody_and_the_end_tells_of_it(
    person: Person,
) -> None:
    person.post(ABOUT, {"headshot": SMALL})
    person.page = person.http.get("/signup/credentials")
    person.post({"section": "credentials"}, {"licence": ("l.pdf", pdf(), "application/pdf")})
    person.page = person.http.get("/signup/documents")
    person.post({"section": "documents", "agree": "on"}, {"resume": NO_FILE})
    person.see("You can send without it.")
    assert "There is a problem" not in person.text
    reference = person.form_id[4:12].upper()
    person.post({"submit": "1"})
    assert "Thank you" in person.text
    assert f"{reference[:4]}-{reference[4:]}" in person.text
    assert "Not accepted: The selected image must be" in person.text
    assert "l.pdf" in person.text
    assert "Stored" in person.text


def send(person: Person) -> str:
    """A whole form, sent; its id."""
    person.begin()
    person.page = person.http.get("/signup/credentials")
    person.post({"section": "credentials"}, {"licence": ("l.pdf", pdf(), "application/pdf")})
    form_id = person.form_id
    person.page = person.http.get("/signup/documents")
    person.post({"section": "documents", "agree": "on", "submit": "1"})
    assert "Your reference number" in person.text
    return form_id


def test_going_back_after_sending_leads_to_the_end(person: Person) -> None:
    form_id = send(person)
    for path in ("/signup/check-answers", "/signup/about"):
        answer = person.http.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/signup/thank-you")
    late = person.http.post(
        f"/v1/forms/{form_id}", data={"section": "about"}, headers={"Origin": person.origin}
    )
    assert late.status_code == 409
    assert 'href="/signup/thank-you"' in late.text
    first = person.http.get("/")
    assert 'action="/"' in first.text
    assert "You have sent a form from this browser" in first.text


def test_what_is_left_of_the_session_opens_the_end_and_nothing_else(person: Person) -> None:
    form_id = send(person)
    sent = person.http.cookies["longshore_sent"]
    assert form_id in sent
    read = person.http.get(f"/v1/forms/{form_id}", headers={"Accept": "*/*"})
    problem(read, 401, "unauthorized")
    bearer = {"Authorization": f"Bearer {sent}", "Accept": "*/*"}
    problem(person.http.get(f"/v1/forms/{form_id}", headers=bearer), 401, "unauthorized")
    other = Person(person.origin)
    other_id = send(other)
    for forged in (
        sent.replace(form_id, other_id),
        re.sub(r"\.\d+\.", lambda found: f".{int(found[0][1:-1]) + 9}.", sent),
        f"{form_id}..",
        "x.1.é",
    ):
        page = person.http.get(
            "/signup/thank-you", headers={b"Cookie": f"longshore_sent={forged}".encode()}
        )
        assert page.status_code == 200
        assert "Your reference number" not in page.text, forged
    person.http.post("/signup/start-over", headers={"Origin": person.origin})
    assert not person.http.cookies
    assert "Your reference number" not in person.http.get("/signup/thank-you").text


def test_a_second_tab_goes_on_with_the_same_form(person: Person) -> None:
    tab = person.page
    person.begin()
    token, form_id = person.http.cookies[COOKIE], person.form_id
    person.page = tab
    answer = person.post({**ABOUT, "full_name": "Ann Again"}, {"headshot": NO_FILE})
    assert "set-cookie" not in answer.headers
    assert person.http.cookies[COOKIE] == token
    assert person.form_id == form_id
    assert 'value="Ann Again"' in person.http.get("/").text


def test_start_over_deletes_the_draft_and_forgets_it(person: Person) -> None:
    person.begin()
    token, form_id = person.http.cookies[COOKIE], person.form_id
    answer = person.http.post("/signup/start-over", headers={"Origin": person.origin})
    assert answer.headers["location"] == "/"
    assert COOKIE not in person.http.cookies
    assert 'value="Ann"' not in person.http.get("/").text
    bearer = {"Authorization": f"Bearer {token}", "Accept": "*/*"}
    problem(person.http.get(f"/v1/forms/{form_id}", headers=bearer), 404, "not-found")


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {}])
def test_another_sites_page_cant_write_through_the_cookie(
    person: Person, headers: dict[str, str]
) -> None:
    person.begin()
    for path, data in (
        (f"/v1/forms/{person.form_id}", {"section": "about", "full_name": "Mallory"}),
        ("/", {"section": "about", "full_name": "Mallory"}),
        ("/signup/start-over", {}),
    ):
        answer = person.http.post(path, data=data, headers=headers)
        assert answer.status_code == 403, path
        assert answer.headers["content-type"].startswith("text/html")
        assert "set-cookie" not in answer.headers
    assert 'value="Ann"' in person.http.get("/").text


def test_a_referer_of_our_own_says_where_a_form_was_too(person: Person) -> None:
    person.begin()
    answer = person.http.post(
        f"/v1/forms/{person.form_id}",
        data={"section": "about", "full_name": "Bo"},
        headers={"Referer": f"{person.origin}/signup/about"},
    )
    assert answer.status_code == 303
    assert 'value="Bo"' in person.http.get("/").text


def test_another_sites_page_cant_begin_a_form_in_a_persons_browser(person: Person) -> None:
    answer = person.post(ABOUT, Origin="https://evil.example")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_cookie_opens_what_a_script_of_our_pages_calls(person: Person) -> None:
    empty = {"section": "about"}
    began = person.http.post(
        "/", data=empty, headers={"Accept": "application/json", "Origin": person.origin}
    )
    assert began.status_code == 200
    assert "token" not in began.json(), "no script may read it"
    assert person.http.cookies[COOKIE].startswith("lst_")
    form, ours = began.json()["id"], {"Accept": "*/*", "Origin": person.origin}
    target = f"/v1/forms/{form}/fields/headshot/uploads"
    sent = person.http.post(target, files={"file": SMALL}, headers=ours)
    assert sent.status_code == 202
    assert (
        person.http.post(target, files={"f": SMALL}, headers={"Accept": "*/*"}).status_code == 401
    )
    reading = {"Accept": "*/*", "Sec-Fetch-Site": "same-origin"}
    upload = f"/v1/uploads/{sent.json()['id']}"
    assert person.http.get(f"/v1/forms/{form}", headers=reading).json()["id"] == form
    assert person.http.get(upload, headers=reading).json()["field"] == "headshot"
    problem(person.http.get(f"{upload}/content", headers=reading), 409, "not-stored")
    problem(person.http.post(f"{upload}/retry", headers=ours), 409, "not-failed")
    assert person.http.delete(upload, headers=ours).status_code == 204
    again = person.http.post("/", data=empty, headers={**ours, "Accept": "application/json"})
    assert again.json()["id"] == form, "the draft that this browser has"


def test_the_cookie_opens_nothing_to_a_page_of_another_origin(person: Person) -> None:
    person.begin()
    form = f"/v1/forms/{person.form_id}"
    for site in ("cross-site", "same-site"):
        read = person.http.get(form, headers={"Accept": "*/*", "Sec-Fetch-Site": site})
        problem(read, 401, "unauthorized")
    for origin in ("https://evil.example", "null"):
        foreign = {"Accept": "*/*", "Origin": origin}
        problem(person.http.get(form, headers=foreign), 401, "unauthorized")
        sent = person.http.post(
            f"{form}/fields/headshot/uploads", files={"f": SMALL}, headers=foreign
        )
        problem(sent, 401, "unauthorized")


def test_what_the_pages_dont_call_takes_no_cookie(person: Person) -> None:
    person.begin()
    path = f"/v1/forms/{person.form_id}"
    asked = {"Accept": "*/*", "Origin": person.origin}
    for answer in (
        person.http.patch(path, json={"full_name": "x"}, headers=asked),
        person.http.post(f"{path}/submit", headers=asked),
        person.http.delete(path, headers=asked),
        person.http.put(f"{path}/fields/headshot/uploads/a.jpg", content=b"a", headers=asked),
    ):
        problem(answer, 401, "unauthorized")


def test_a_stale_cookie_is_told_on_a_page_and_begins_anew(person: Person) -> None:
    person.begin()
    path = f"/v1/forms/{person.form_id}"
    stale = {"Cookie": f"{COOKIE}=lst_stale", "Origin": person.origin, "Accept": BROWSER}
    with httpx.Client(base_url=person.origin, headers=stale, trust_env=False) as other:
        for answer in (other.get("/signup/about"), other.post(path, data={"section": "about"})):
            assert answer.status_code == 401
            assert answer.headers["content-type"].startswith("text/html")
            assert "We can't find your form" in unescape(answer.text)
        script = other.get("/signup/about", headers={"Accept": "*/*"})
        problem(script, 401, "unauthorized")
        first = other.get("/")
        assert first.status_code == 200
        assert 'action="/"' in first.text
        began = other.post("/", data=ABOUT)
        assert began.status_code == 303
        assert COOKIE in began.headers["set-cookie"]


def test_what_is_not_about_a_field_is_a_page_for_people_and_a_problem_for_clients(
    person: Person,
) -> None:
    person.begin()
    path = f"/v1/forms/{person.form_id}"
    origin = {"Origin": person.origin}
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"data": {"bio": "x" * 1_100_000}}, 413, "request-too-large"),
        ({"data": {"nobody": "x"}}, 422, "unknown-field"),
        ({"data": {"section": "nowhere"}}, 422, "invalid-request"),
        ({"data": {"remove": "upl_nobody"}}, 404, "not-found"),
        ({"files": {"section": ("a", b"b")}}, 400, "bad-request"),
        ({"files": {"nobody": ("a", b"b")}}, 422, "unknown-field"),
        ({"json": {}}, 415, "unsupported-media-type"),
    ]
    for sent, status, code in cases:
        more = sent.pop("headers", {})
        page = person.http.post(path, headers={**origin, **more}, **sent)
        assert page.status_code == status, page.text
        assert page.headers["content-type"].startswith("text/html")
        assert f"Code: {code}" in page.text
        asked = {**origin, **more, "Accept": "*/*"}
        problem(person.http.post(path, headers=asked, **sent), status, code)


def test_no_refused_post_leaves_its_files(person: Person, stack: Stack) -> None:
    person.begin()
    before = set(stack.staged_files())
    for data in ({"section": "nowhere"}, {"remove": "upl_nobody"}, {"nobody": "x"}):
        answer = person.post(data, {"headshot": SMALL})
        assert answer.status_code in (404, 422)
        person.page = person.http.get("/")
    assert set(stack.staged_files()) <= before


def test_a_token_opens_the_endpoint_and_its_pages_too(form: FormClient) -> None:
    answer = form.http.post(form.path, data={"section": "only", "note": "typed"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/signup/check-answers"
    assert "set-cookie" not in answer.headers
    assert "typed" in form.http.get(answer.headers["location"]).text
    other = FormClient(str(form.http.base_url).rstrip("/"), "acceptance")
    problem(form.http.post(other.path, data={"note": "x"}), 404, "not-found")
    form.http.headers["Authorization"] = "Bearer nope"
    problem(form.http.post(form.path, data={"note": "x"}), 401, "unauthorized")


def test_who_asks_for_json_gets_the_form(form: FormClient) -> None:
    form.http.headers["Accept"] = "application/json"
    sent = form.http.post(form.path, data={"section": "only"}, files={"needed": ("a.png", png())})
    assert sent.status_code == 202
    assert [each["filename"] for each in sent.json()["uploads"]["needed"]] == ["a.png"]
    saved = form.http.post(form.path, data={"note": "far more than twenty characters"})
    assert saved.status_code == 200
    assert [each["code"] for each in saved.json()["problems"]] == ["too-long"]
    done = form.http.post(form.path, data={"note": "short", "submit": "1"})
    assert done.status_code == 200, done.text
    assert done.json()["status"] == "submitted"
    late = form.http.post(form.path, data={"note": "late"})
    assert late.status_code == 409
    assert late.json()["code"] == "form-submitted"


def test_a_full_field_takes_no_more_until_one_is_removed(form: FormClient) -> None:
    first, _ = (form.stored("pair", png(colour=colour)) for colour in ("red", "blue"))
    page = form.http.get("/signup/only").text
    assert "You have added 2 files. Remove one to add another." in page
    form.http.post(form.path, data={"section": "only", "remove": first["id"]})
    page = form.http.get("/signup/only").text
    assert re.findall(r'<input type="file"[^>]+multiple[^>]+id="pair"', page)


def test_a_files_name_is_text_whatever_is_in_it(form: FormClient) -> None:
    form.stored("pair", png(), filename="<img src=x onerror=alert(1)>.png")
    for path in ("/signup/only", "/signup/check-answers"):
        page = form.http.get(path).text
        assert "&lt;img src=x onerror=alert(1)&gt;.png" in page
        assert "<img src=x" not in page


def test_a_page_that_is_not_there_is_a_404(person: Person) -> None:
    person.begin()
    missing = person.http.get("/signup/nowhere")
    assert missing.status_code == 404
    assert "Page not found" in missing.text
