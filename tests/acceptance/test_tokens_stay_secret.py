"""A form's token is in no address, no log, and no answer but the one that gives it."""

import httpx
import pytest

from tests.support.client import FormClient
from tests.support.files import pdf, png
from tests.support.other_site import OtherSite
from tests.support.stack import Stack

SIGN = "lst_"
"""What every token begins with."""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Response]:
    """All that this test is answered with."""
    seen: list[httpx.Response] = []
    send = httpx.Client.send

    def kept(client: httpx.Client, *args: object, **kwargs: object) -> httpx.Response:
        response = send(client, *args, **kwargs)  # type: ignore[arg-type] # passed on
        seen.append(response)
        return response

    monkeypatch.setattr(httpx.Client, "send", kept)
    return seen


def test_whatever_is_asked_and_refused_no_token_is_logged_or_told_again(
    stack: Stack, other_site: OtherSite, answers: list[httpx.Response]
) -> None:
    form = FormClient(stack.url, "acceptance")
    other = FormClient(stack.url, "acceptance")
    key = {"Authorization": f"Bearer {stack.info['service_key']}"}
    redirect = f"{other_site.origin}/here"
    body = {"type": "acceptance", "success_redirect": redirect}
    made = form.http.post("/v1/forms", json=body, headers=key).json()
    told = [answers[0], answers[1], answers[2]]
    form.stored("needed", png())
    form.final(form.upload("needed", b"%PDF-1.7 damaged", kind="application/pdf"))
    form.put("pair", "key", png())
    html = {"Accept": "text/html"}
    browser = httpx.Client(base_url=stack.url, headers=html, trust_env=False)
    for token in (form.token, made["token"], f"{form.token}x"):
        bearer = {"Authorization": f"Bearer {token}"}
        for method in ("GET", "PATCH", "POST", "DELETE"):
            for path in (other.path, "/v1/uploads/upl_x", "/signup/only"):
                form.http.request(method, path, headers={**bearer, **html})
        for name in ("Authorization", "X-Request-ID", "Prefer", "If-Match", "traceparent"):
            form.http.get(other.path, headers={**bearer, name: token})
        form.http.get(
            other.path, headers={"Authorization": "", "Cookie": f"longshore_form={token}"}
        )
        path = f"/v1/forms/{made['id']}"
        for sent in (
            {"token": token},
            {"token": token, "section": token},
            {"token": token, "note": "x", "nobody": "x"},
            {"note": "x", "token": token},
            {"token": [token, token]},
        ):
            for files in ({}, {"needed": ("a.pdf", pdf())}, {"token": ("a", token.encode())}):
                browser.post(path, data=sent, files=files)
        form.http.patch(form.path, data={"token": token}, files={"needed": ("a", b"b")})
        form.http.patch(form.path, json={"token": token})
    assert len(answers) > 100
    for answer in answers:
        assert answer.status_code < 500, answer.text
        said = answer.text + "".join(answer.headers.values())
        assert answer in told or SIGN not in said, (answer.request.url, said)
    logs = {path.name: path.read_text(errors="replace") for path in stack.logged()}
    assert {"api.log", "worker.log"} <= {name for name, logged in logs.items() if logged}
    assert not [name for name, logged in logs.items() if SIGN in logged]
    assert SIGN not in stack.said()
