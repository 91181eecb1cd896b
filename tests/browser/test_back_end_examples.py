"""The Django example of docs/back-end.md, taken from the page and run as it stands there."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from dev.ports import free_port
from tests.support.examples import example
from tests.support.files import pdf
from tests.support.stack import CHECKOUT, Stack

pytestmark = pytest.mark.parametrize(
    "stack", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
PAGE = CHECKOUT / "docs/back-end.md"
SETTINGS = """
import os
from pathlib import Path

BASE_DIR = Path(__file__).parent
SECRET_KEY = "only for this test"
DEBUG = True
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.staticfiles"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "DIRS": [BASE_DIR / "templates"],
    "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
}]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
LONGSHORE_URL = os.environ["LONGSHORE_URL"]
LONGSHORE_SERVICE_KEY = os.environ["LONGSHORE_SERVICE_KEY"]
"""
URLS = """
from django.urls import path
from signup.views import done, signup

urlpatterns = [path("signup", signup, name="signup"), path("signup/done", done, name="done")]
"""
DONE = "<h1>Thank you</h1><pre>{{ form.data.licence }}</pre>"


@pytest.fixture
def site(stack: Stack, tmp_path: Path) -> Iterator[str]:
    files = {
        "settings.py": SETTINGS,
        "urls.py": URLS,
        "templates/done.html": DONE,
        **{
            f"{folder}{name}": example(PAGE, name)
            for folder, name in (
                ("", "signup/views.py"),
                ("", "templates/signup.html"),
                ("static/", "signup.js"),
            )
        },
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "runserver", "--noreload", url.removeprefix("http://")],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "settings",
            "LONGSHORE_URL": stack.url,
            "LONGSHORE_SERVICE_KEY": stack.info["service_key"],
        },
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/static/signup.js", trust_env=False)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "Django doesn't answer"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def test_the_django_example_takes_a_signup_with_a_file_from_the_first_look_to_the_record(
    page: Page, site: str, stack: Stack, tmp_path: Path
) -> None:
    licence = tmp_path / "licence.pdf"
    licence.write_bytes(pdf())
    page.goto(f"{site}/signup")
    page.get_by_label("Full name").fill("Ada Diaz")
    page.get_by_label("Email address").fill("ada@example.org")
    page.get_by_label("Copy of your licence").set_input_files(licence)
    expect(page.get_by_role("status")).to_have_text("licence.pdf is stored", timeout=20_000)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("Confirm that")  # the tick is missing
    page.get_by_label("What I have given is true and complete").check()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading")).to_have_text("Thank you", timeout=20_000)
    listed = httpx.get(
        f"{stack.url}/v1/forms?reference=customer-None&status=submitted",
        headers={"Authorization": f"Bearer {stack.info['service_key']}"},
        trust_env=False,
    ).json()["forms"]
    assert page.locator("pre").inner_text() in [form["data"]["licence"] for form in listed]
