"""An origin is read as browsers read it, and what parsers may read differently is none."""

from types import SimpleNamespace
from typing import cast

import pytest

from api.forms.way_back import check_redirect
from api.services import Services
from api.settings.web_origin import exact_origin, origin_of
from api.texts.errors import Problem


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://app.example/a?b=c", "https://app.example"),
        ("HTTPS://App.Example:443", "https://app.example"),
        ("http://app.example:80/", "http://app.example"),
        ("https://app.example:8443/a", "https://app.example:8443"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
        ("https://[::1]/", "https://[::1]"),
        ("https://app.example?next=//evil.example/@", "https://app.example"),
        ("https://xn--lcalhost-n4a/", "https://xn--lcalhost-n4a"),
    ],
)
def test_the_origin_of_an_address(address: str, origin: str) -> None:
    assert origin_of(address) == origin


@pytest.mark.parametrize(
    "address",
    [
        "",
        "app.example",
        "//app.example",
        "https:app.example",
        "https:/app.example",
        "https:///app.example",
        "https://",
        "https://.app.example",
        "https://app.example.:1:2",
        "https://app.example:port",
        "https://app.example:",
        "https://app.example:99999",
        "https://app.example:٤٤٣",
        "https://user@app.example",
        "https://app.example\\@evil.example",
        "https://app.example\t.evil.example",
        "https://app.example/#a",
        "https://äpp.example",
        "https://app%2eexample",
        "https://app.example;a",
        "javascript:alert(1)",
        "data:text/html,a",
        "https://app.example/" + "a" * 2000,
    ],
)
def test_what_is_no_address_to_be_sent_to(address: str) -> None:
    with pytest.raises(ValueError, match="must"):
        origin_of(address)


@pytest.mark.parametrize(
    "address",
    [
        "https://evilapp.example/",
        "https://evil-app.example/",
        "https://sub.app.example/",
        "https://app.example.evil.example/",
        "https://app.example:8443/",
        "https://app.exampl/",
        "http://app.example/",
        "https://evil.example/https://app.example",
    ],
)
def test_nobody_is_sent_to_an_origin_that_only_resembles_one_of_the_setting(address: str) -> None:
    settings = SimpleNamespace(redirect_origins=("https://app.example",))
    services = cast("Services", SimpleNamespace(settings=settings))
    assert check_redirect(services, "success_redirect", "https://APP.example:443/done")
    with pytest.raises(Problem, match="invalid-request"):
        check_redirect(services, "success_redirect", address)


def test_a_setting_names_an_origin_and_nothing_else() -> None:
    assert exact_origin("https://app.example", may_be_plain=False) == "https://app.example"
    assert exact_origin("http://localhost:3000", may_be_plain=True) == "http://localhost:3000"
    for text in ("https://app.example/", "https://app.example:443", "https://app.example/a"):
        with pytest.raises(ValueError, match=r"write https://app\.example"):
            exact_origin(text, may_be_plain=True)
    with pytest.raises(ValueError, match="must be https"):
        exact_origin("http://app.example", may_be_plain=False)
    with pytest.raises(ValueError, match="must"):
        exact_origin("*", may_be_plain=True)
