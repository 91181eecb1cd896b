"""The commands of docs/errors.md, each carried out as a reader does."""

import os
import subprocess
from urllib.parse import urljoin

import httpx
import pytest

from docs.provoke import COMMANDS, SETUP
from tests.support.client import FormClient
from tests.support.stack import CHECKOUT, Stack

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True)

SECONDS = 120


@pytest.fixture(scope="module")
def printed(stacks: dict[str, Stack], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command printed, by its code: all in one shell, one after the other."""
    stack, folder = stacks["sqlite"], tmp_path_factory.mktemp("printed")
    here = SETUP.replace("http://127.0.0.1:8000", stack.url)
    here = here.replace("state=.longshore", f"state={stack.state_dir}")
    assert here.count(stack.url) == here.count(f"state={stack.state_dir}") == 1
    commands = [f"( {command}\n) > {folder}/{code}" for code, command in COMMANDS.items()]
    subprocess.run(
        ["bash", "-c", "\n".join([here, *commands])],
        cwd=CHECKOUT,
        env={**os.environ, "no_proxy": "*"},
        stderr=subprocess.DEVNULL,  # what curl says of a connection that was closed on it
        timeout=SECONDS,
        check=False,
    )
    return {code: (folder / code).read_text() for code in COMMANDS}


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("code", COMMANDS)
def test_a_command_of_the_document_is_answered_with_its_code(
    request: pytest.FixtureRequest, code: str
) -> None:
    answered: dict[str, str] = request.getfixturevalue("printed")
    assert f'"code":"{code}"' in answered[code].replace('": "', '":"')


def test_the_type_of_a_problem_leads_to_what_is_said_of_its_code(form: FormClient) -> None:
    answer = form.http.get("/v1/forms/frm_none")
    address = urljoin(str(answer.url), answer.json()["type"])
    page = httpx.get(address, trust_env=False)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    entry = page.text.partition(f'<h2 id="{httpx.URL(address).fragment}">')[2]
    assert entry.startswith("<code>not-found</code>")
    assert "check the address and whose token it is" in entry.partition("<h2")[0]
