"""The listeners' own descriptions: requests made from them find nothing that isn't in them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.client import FormClient
from tests.support.files import jpeg
from tests.support.stack import Stack
from tests.support.tried import first_tries

EXAMPLES = "5"
SECONDS = 240
# A condition that fails (412), or another version of tus, is looked at before a body that is wrong;
# a field that is full (409) or a form that is submitted too. Fetching from elsewhere is refused as not implemented (501). One
# event of a stream shows what all look like.
CONFIG = """
max-stream-events = 1

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501]
[checks.negative_data_rejection]
expected-statuses = [400, 401, 404, 405, 409, 410, 412, 413, 415, 422]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 404, 409, 410]
[checks.missing_required_header]
expected-statuses = [400, 401, 404, 412, 415, 422]
"""
HOOKS = """
import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
"""

# PostgreSQL refuses values that SQLite takes: what it answers well, both do.
ON_THE_STRICTER = pytest.mark.parametrize(
    "stack", ["postgresql", pytest.param("sqlite", marks=pytest.mark.slow)], indirect=True
)


def generated_requests(
    url: str, secret: str, folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """Ask everything that the description at `url` allows, and what it doesn't."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    (folder / "offsets.py").write_text(HOOKS)
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config)]
    command += ["run", f"{url}/openapi.json", "-H", f"Authorization: Bearer {secret}"]
    command += ["-n", EXAMPLES, "--max-redirects", "0", "--no-color", "-c", "all"]
    command += ["--generation-deterministic", *options]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "offsets", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def failures(output: str) -> str:
    return output[output.find("FAILURES") :]


@ON_THE_STRICTER
def test_no_generated_request_to_the_public_listener_finds_what_is_not_described(
    stack: Stack, tmp_path: Path
) -> None:
    # Whether a value fits is the form type's to say, so that a valid request may be refused; and an
    # upload that was removed goes on to say so.
    run = generated_requests(
        stack.url,
        stack.info["service_key"],
        tmp_path,
        "--exclude-checks",
        "positive_data_acceptance,use_after_free",
    )
    assert run.returncode == 0, failures(run.stdout)
    assert "27 selected / 27 total" in run.stdout


@ON_THE_STRICTER
def test_no_generated_request_to_the_internal_listener_finds_what_is_not_described(
    stack: Stack, tmp_path: Path
) -> None:
    secret = json.loads((stack.state_dir / "secrets.json").read_text())["internal_secret"]
    run = generated_requests(stack.info["internal_url"], secret, tmp_path)
    assert run.returncode == 0, failures(run.stdout)


REFUSED = {
    "submit_form": 422,
    "retry_upload": 409,
    "release_upload": 409,
    "filepond_restore": 404,
    "filepond_revert": 404,
    "filepond_chunk": 400,
    "tus_create": 412,
    "tus_send": 412,
}
"""A draft lacks answers; an upload that is stored needs no retry and no release; of which file
FilePond asks, only FilePond can fill in; and nobody sends chunks by hand."""


@pytest.mark.parametrize("stack", ["sqlite"], indirect=True)
def test_a_first_try_with_what_the_api_docs_fill_in_is_taken(
    stack: Stack, signup: FormClient
) -> None:
    document = httpx.get(f"{stack.url}/openapi.json", trust_env=False).json()
    upload = signup.stored("headshot", jpeg(900, 800))
    ids = {"form_id": signup.id, "upload_id": upload["id"]}
    secret = {"Authorization": f"Bearer {stack.info['service_key']}"}
    with httpx.Client(base_url=stack.url, headers=secret, timeout=60, trust_env=False) as http:
        for request in first_tries(document, ids):
            operation = request.pop("operation")
            if operation == "submit_form":  # what was sent before it is answered by then
                http.get(signup.path, headers={"Prefer": "wait=30"})
            with http.stream(**request) as answer:  # one of them never ends
                status = REFUSED.get(operation)
                taken = answer.status_code == status if status else answer.status_code < 400
                assert taken, (operation, answer.status_code, request)


@pytest.mark.parametrize("listener", ["url", "internal_url"])
def test_a_listener_serves_its_description_as_a_page_without_anything_from_elsewhere(
    stack: Stack, listener: str
) -> None:
    url = stack.info[listener]
    page = httpx.get(f"{url}/docs", trust_env=False)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    for path in ("static/docs.js", "static/swagger-ui/swagger-ui-bundle.js"):
        assert httpx.get(f"{url}/{path}", trust_env=False).status_code == 200
