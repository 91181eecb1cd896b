"""The documents say what the code does: whatever in them can be compared with it, is."""

import json
import re
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel
from pydantic_settings import BaseSettings
from starlette.routing import Route

from api.app import create_internal_app, create_public_app
from api.forms.values import VALUE_PROBLEMS
from api.html.render import Site, render
from api.http.problems import details
from api.http.stopping import Stopping
from api.openapi import examples
from api.openapi.errors import UNIVERSAL
from api.routes import docs, pages
from api.services import Services
from api.settings.pace import Pace
from api.settings.settings import Settings as ApiSettings
from api.settings.trusted_proxies import TrustedProxies
from api.telemetry.metrics import Metrics
from api.telemetry.watchdog import Watchdog
from api.texts.error_guide import ANSWERS, INTERNAL, TO_DO, UPLOADS, entries
from api.texts.errors import ERRORS, GUIDE, Problem
from api.views import form_types
from api.views import rows as views
from dev.commands import COMMANDS
from dev.provision_s3 import CORS
from dev.services import API_PREFIX as API
from dev.services import TUNABLE
from dev.services import WORKER_PREFIX as WORKER
from dev.tools import COMPILE
from docs import log_meanings, provoke
from docs.generate import rendered
from docs.log_events import UnreadableEventError, events_of
from shared import internal_api
from shared.causes import Cause
from shared.codes import NOTICES
from shared.form_definition import load_form_types
from shared.status import TERMINAL, TRANSITIONS
from worker.settings import Settings as WorkerSettings

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
ROOT_PAGES = [CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*ROOT_PAGES, *sorted(DOCS.rglob("*.md"))]
GENERATED = sorted(path for path in DOCS.glob("*.md") if "<!-- begin: " in path.read_text("utf-8"))
HOW = "run: .venvs/dev/bin/python -m docs.generate"

CREATED_AS = {"receiving", "staged", "rejected"}
Endpoints = dict[tuple[str, str], set[str]]
"""Method and path → success statuses."""
PAGES_SERVED: Endpoints = {
    ("GET", route.path): {"200"}
    for route in (*pages.router.routes, *docs.router.routes)
    if isinstance(route, Route)
}
"""They are for people, and not in the listener's own description."""
DOCS_SERVED: Endpoints = {("GET", "/docs"): {"200"}, ("GET", GUIDE): {"200"}}
ANYWHERE = {*UNIVERSAL, "method-not-allowed"}
"""Codes that the table of endpoints doesn't repeat for each."""


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def by_name(paths: list[Path]) -> list[Any]:
    return [pytest.param(path, id=str(path.relative_to(CHECKOUT))) for path in paths]


def chapter(page: str, title: str) -> str:
    """The text under a heading, up to the next of its rank or above."""
    level, rest = re.split(rf"^(#+) {re.escape(title)}$", page, maxsplit=1, flags=re.MULTILINE)[1:]
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table_rows(text: str) -> list[list[str]]:
    """The cells of a chapter's tables, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rules = {at for at, line in enumerate(lines) if re.fullmatch(r"[|\s-]+", line)}
    heads = {at - 1 for at in rules}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for at, line in enumerate(lines)
        if at not in rules | heads
    ]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- what is written from the code


@pytest.mark.parametrize("page", by_name(GENERATED))
def test_a_generated_table_is_what_would_be_generated_now(page: Path) -> None:
    now = page.read_text("utf-8")
    assert now == rendered(now), f"{page.relative_to(CHECKOUT)} is behind the code; {HOW}"


def test_every_error_code_says_when_it_comes_up_and_what_to_do() -> None:
    assert set(ERRORS) == {*ANSWERS, *UPLOADS, *INTERNAL}, (
        f"ERRORS of api/texts/errors.py; ANSWERS, UPLOADS, INTERNAL beside it; then {HOW}"
    )
    assert set(ERRORS) == set(TO_DO), f"TO_DO of api/texts/error_guide.py; then {HOW}"


def test_every_error_code_can_be_provoked_or_says_what_it_needs() -> None:
    assert set(ERRORS) == {*provoke.COMMANDS, *provoke.NEEDS}, f"see docs/provoke.py; then {HOW}"
    assert not set(provoke.COMMANDS) & set(provoke.NEEDS)


@pytest.mark.parametrize(
    ("service", "meanings"), [("api", log_meanings.API), ("worker", log_meanings.WORKER)]
)
def test_every_event_that_is_logged_is_explained_and_no_other(
    service: str, meanings: dict[str, str]
) -> None:
    logged = events_of(service, "shared")
    assert set(logged) == set(meanings), f"see docs/log_meanings.py; then {HOW}"
    assert [name for name in logged if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


def test_an_event_that_nobody_could_find_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hidden.py").write_text('log.info(f"{name}_ended")')
    with pytest.raises(UnreadableEventError, match=r"hidden.py:1"):
        events_of(str(tmp_path))


def test_every_cause_is_explained() -> None:
    assert set(log_meanings.CAUSES) == set(Cause)


@pytest.mark.parametrize("page", ["runbook.md", "troubleshooting.md"])
def test_an_event_that_a_page_for_operators_names_is_one_that_is_logged(page: str) -> None:
    events = {*log_meanings.API, *log_meanings.WORKER}
    keys = {key for event in events_of("api", "worker").values() for key in event.keys}
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", text_of(page)))
    others = {each for each in named if each.startswith("longshore_")} | keys
    assert named & events
    assert named - others <= events


def test_the_type_of_each_problem_leads_to_the_one_entry_of_its_code() -> None:
    page = render("errors.html", site=Site(), entries=list(entries())).body
    ids = re.findall(r'id="([a-z-]+)"', bytes(page).decode().partition("<h1>")[2])
    assert ids == sorted(ERRORS)
    anchored = re.findall(r'<a id="([a-z-]+)">', text_of("errors.md"))
    assert sorted(anchored) == sorted(ERRORS)
    for code in ERRORS:
        assert details(Problem(code), "req", "")["type"] == f"{GUIDE}#{code}"


def test_settings_errors_logs_form_types_and_what_is_acceptable_have_their_tables() -> None:
    assert [path.name for path in GENERATED] == [
        "acceptable.md",
        "errors.md",
        "form-types.md",
        "logs.md",
        "settings.md",
    ]


def test_the_example_of_a_form_type_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.+?)```", text_of("form-types.md"), re.DOTALL)
    (tmp_path / "volunteers.toml").write_text(example, "utf-8")
    assert list(load_form_types(tmp_path)) == ["volunteers"]


def test_the_bucket_of_the_local_stack_allows_what_the_document_asks_for() -> None:
    (asked,) = re.findall(r"```json\n(.+?)```", text_of("clients/README.md"), re.DOTALL)
    assert json.loads(asked) == CORS


# --- the states of an upload


def arrows() -> Iterator[tuple[str, str]]:
    diagram = text_of("state-machine.md").split("```mermaid")[1].split("```")[0]
    for line in diagram.splitlines():
        if "-->" in line:
            before, after = line.split("-->")
            yield before.strip(), after.strip()


def test_the_diagram_of_states_draws_every_transition_and_no_other() -> None:
    drawn = list(arrows())
    transitions = {pair for pair in drawn if "[*]" not in pair}
    assert transitions == {
        (a.value, b.value) for a, targets in TRANSITIONS.items() for b in targets
    }
    assert len(drawn) == len(set(drawn)), "an arrow is drawn twice"


def test_the_diagram_begins_where_uploads_are_created_and_ends_where_nothing_follows() -> None:
    drawn = set(arrows())
    assert {after for before, after in drawn if before == "[*]"} == CREATED_AS
    assert {before for before, after in drawn if after == "[*]"} == {s.value for s in TERMINAL}


def test_the_table_of_transitions_explains_every_one_and_no_other() -> None:
    explained: set[tuple[str, str]] = set()
    for first, *_ in table_rows(chapter(text_of("state-machine.md"), "Transitions")):
        before, after = first.split("→")
        explained |= set(product(quoted(before), quoted(after)))
    assert explained == {(a.value, b.value) for a, targets in TRANSITIONS.items() for b in targets}


# --- settings


@pytest.mark.parametrize("settings", [ApiSettings, WorkerSettings])
def test_every_setting_says_what_it_is_for(settings: type[BaseSettings]) -> None:
    fields = settings.model_fields
    silent = [name for name, field in fields.items() if not field.description]
    assert silent == [], "Annotated[…, Field(description=…)]"


def test_what_the_local_stack_passes_on_is_said() -> None:
    said = text_of("settings.md").partition("What else it passes on")[2].partition("\n\n")[0]
    names = re.findall(r"`([A-Z_]+)`", said)
    assert sorted({*names} - {"TUNABLE"}) == sorted({*TUNABLE, API, WORKER}), "docs/settings.md"


# --- what it runs on


def test_what_python_it_runs_on_is_said_once_and_everywhere_the_same() -> None:
    readme = ROOT_PAGES[0].read_text("utf-8")
    said = re.findall(r"Python (3\.\d+)", "".join(page.read_text("utf-8") for page in PAGES[:2]))
    assert said == ["3.11"]
    assert "Python 3.11 or later" in readme
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["mypy"]["python_version"] == "3.11"
    assert COMPILE[COMPILE.index("--python-version") + 1] == "3.11"
    assert "no Python 3.11 or newer" in (CHECKOUT / "longshore").read_text("utf-8")
    bases = [
        tuple(map(int, version.split(".")))
        for image in (CHECKOUT / "deploy").glob("Dockerfile.*")
        for version in re.findall(r"^FROM python:([\d.]+)-", image.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(bases) == 4
    assert len(set(bases)) == 1
    assert bases[0] >= (3, 11)


# --- the back end's key


async def test_all_that_a_service_key_opens_is_said() -> None:
    what_it_opens = chapter(text_of("back-end.md"), "What it opens")
    said = set(re.findall(r"`([A-Z]+) (/v1/[^`?]*)", what_it_opens))
    opened = {
        (method.upper(), path)
        for path, operations in (await document("Public listener"))["paths"].items()
        for method, operation in operations.items()
        if {"service_key": []} in operation.get("security", [])
    }
    assert opened
    assert said == opened | {("POST", "/v1/forms")}, "which is open to everybody"


# --- the endpoints


def documented(listener: str) -> Endpoints:
    rows = table_rows(chapter(text_of("architecture.md"), listener))
    return {(row[0], quoted(row[1])[0]): set(re.findall(r"\d{3}", row[3])) for row in rows}


async def document(listener: str) -> dict[str, Any]:
    """The listener's own description; nothing behind the routes is needed for it."""
    create = create_public_app if listener == "Public listener" else create_internal_app
    settings = SimpleNamespace(
        cors_origins=("*",),
        cors_headers=(),
        proxies=TrustedProxies(),
        max_connections_per_client=0,
        public_url=None,
        pace=Pace(idle_seconds=1),
    )
    parts = SimpleNamespace(
        settings=settings,
        database=None,
        metrics=Metrics(),
        stopping=Stopping(),
        watchdog=Watchdog(Metrics()),
    )
    app = create(cast("Services", parts))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return dict((await client.get("/openapi.json")).json())


async def served(listener: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The responses that each endpoint declares."""
    paths = (await document(listener))["paths"]
    return {
        (method.upper(), path): operation["responses"]
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def successes(responses: dict[str, Any]) -> set[str]:
    return {status for status in responses if status.startswith(("2", "3"))}


def codes(responses: dict[str, Any]) -> set[str]:
    """The error codes that are declared, without those that any endpoint may answer."""
    schemas = [
        each.get("content", {}).get("application/problem+json", {}).get("schema", {})
        for each in responses.values()
    ]
    found = {code for s in schemas if s for code in s["allOf"][1]["properties"]["code"]["enum"]}
    return found - ANYWHERE


@pytest.mark.parametrize("listener", ["Public listener", "Internal listener"])
async def test_the_table_of_endpoints_has_every_one_with_its_success(listener: str) -> None:
    told = documented(listener)
    declared = {endpoint: successes(each) for endpoint, each in (await served(listener)).items()}
    declared |= PAGES_SERVED if listener == "Public listener" else DOCS_SERVED
    assert told.keys() == declared.keys()
    unsaid = {
        endpoint: statuses - told[endpoint]
        for endpoint, statuses in declared.items()
        if statuses - told[endpoint]
    }
    assert not unsaid, "declared, and not in docs/architecture.md"


@pytest.mark.parametrize("listener", ["Public listener", "Internal listener"])
async def test_the_table_of_endpoints_has_the_errors_that_are_declared(listener: str) -> None:
    rows = table_rows(chapter(text_of("architecture.md"), listener))
    told = {(row[0], quoted(row[1])[0]): set(quoted(row[4])) for row in rows}
    for endpoint, responses in (await served(listener)).items():
        assert told[endpoint] == codes(responses), (
            f"{endpoint} in docs/architecture.md, or its `errors` in api/openapi/"
        )


async def test_every_error_code_is_declared_somewhere() -> None:
    public, internal = await served("Public listener"), await served("Internal listener")
    declared = {code for each in public.values() for code in codes(each)}
    assert set(ANSWERS) - ANYWHERE <= declared, (
        "the `errors` of an operation in api/openapi/of_*.py"
    )
    declared = {code for each in internal.values() for code in codes(each)}
    assert set(INTERNAL) <= declared, "the `errors` of an operation in api/routes/internal.py"


@pytest.mark.parametrize("listener", ["Public listener", "Internal listener"])
async def test_the_description_is_valid_openapi(listener: str) -> None:
    validate(await document(listener))


@pytest.mark.parametrize("listener", ["Public listener", "Internal listener"])
async def test_every_answer_is_described_with_its_headers_and_an_example(listener: str) -> None:
    for endpoint, responses in (await served(listener)).items():
        for status, response in responses.items():
            assert response["headers"]["X-Request-ID"], (endpoint, status)
            for kind, content in response.get("content", {}).items():
                shown = kind == "text/html" or "example" in content or "examples" in content
                assert shown, (endpoint, status)


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (views.UploadView, examples.STAGED),
        (views.UploadView, examples.STORED),
        (views.FormView, examples.FORM),
        (views.FormView, examples.SAVED_FORM),
        (views.FormView, examples.SUBMITTED_FORM),
        (views.NewFormView, examples.NEW_FORM),
        (views.FormList, examples.FORM_LIST),
        (views.LinkView, examples.LINK),
        (form_types.FormTypeView, examples.FORM_TYPE),
        (internal_api.WorkOrder, examples.ORDER),
        (internal_api.Stored, examples.OUTCOME_STORED),
        (internal_api.Applied, examples.APPLIED),
        (internal_api.CleaningOrders, examples.CLEANINGS),
    ],
)
def test_an_example_of_the_description_is_what_the_code_would_send(
    model: type[BaseModel], example: dict[str, Any]
) -> None:
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    assert needed <= set(example), "api/openapi/examples.py"
    sent = model.model_validate(example).model_dump(mode="json", exclude_unset=True)
    assert sent == example
    if model.__module__ == views.__name__:
        assert set(example) == set(model.model_fields)


def test_an_upload_is_shown_whole_where_the_api_is_explained() -> None:
    sending = chapter(text_of("api.md"), "Send a file")
    (shown,) = re.findall(r"^(\{.+?\})\n```", sending, re.MULTILINE | re.DOTALL)
    assert set(json.loads(shown)) == set(views.UploadView.model_fields), "docs/api.md"


def test_the_examples_of_the_api_use_codes_that_exist() -> None:
    used = set(re.findall(r'"code": "([^"]+)"', text_of("api.md") + text_of("errors.md")))
    assert used
    assert used <= {*ERRORS, *VALUE_PROBLEMS, *NOTICES}


# --- what is said when something is wrong


def test_every_line_of_troubleshooting_is_one_that_is_said() -> None:
    code = "\n".join(
        path.read_text("utf-8")
        for folder in ("api", "worker", "shared")
        for path in (CHECKOUT / folder).rglob("*.py")
    )
    said = re.sub(r"\"\s*\n\s*f?\"", "", code)  # a text in two parts is one
    lines = [
        line
        for row in table_rows(text_of("troubleshooting.md").partition("## Settings")[2])
        for line in quoted(row[0])
    ]
    pieces = [
        piece.strip(" :")
        for line in lines
        for piece in re.split(r"…|; |^[A-Z_\d]+: ", line)
        if len(piece.strip(" :")) > len("is off")
    ]
    assert len(pieces) > len(lines) // 2
    assert [piece for piece in pieces if piece not in said] == []


# --- words and places


def test_the_packages_are_drawn_as_they_are_checked() -> None:
    pyproject = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    (rows,) = [
        contract["layers"]
        for contract in pyproject["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == ["api"]
    ]
    drawn = chapter(text_of("architecture.md"), "The packages of the api")
    assert "```\n" + "\n".join(rows) + "\n```" in drawn


def test_every_layering_rule_is_named() -> None:
    pyproject = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    rules = [contract["name"] for contract in pyproject["tool"]["importlinter"]["contracts"]]
    listed = re.findall(r"^- (.+)$", chapter(text_of("architecture.md"), "Layering"), re.MULTILINE)
    assert listed == rules


def test_a_word_of_the_glossary_is_in_use() -> None:
    code = "\n".join(
        path.read_text("utf-8").lower()
        for folder in ("api", "worker", "shared")
        for path in (CHECKOUT / folder).rglob("*.py")
    )
    rows = table_rows(text_of("glossary.md"))
    unused = [row[0] for row in rows if not re.search(rf"\b{row[0].strip('*')}", code)]
    assert rows
    assert not unused


@pytest.mark.parametrize("page", by_name(PAGES))
def test_a_file_of_the_project_that_is_named_exists(page: Path) -> None:
    rooms = "api|browser|worker|shared|dev|docs|forms|tests|requirements"
    named = re.findall(rf"`((?:{rooms})/[\w./-]+)`", page.read_text("utf-8"))
    missing = [name for name in named if not (CHECKOUT / name).exists() and "NNNN" not in name]
    assert not missing


@pytest.mark.parametrize("page", by_name(PAGES))
def test_a_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    broken = [link for link in links if not leads_somewhere(page, link)]
    assert not broken


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """What a heading is linked by: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    written = re.findall(r'<a id="([^"]+)">', page.read_text("utf-8"))
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return {*made, *written}


# --- the first pages


def test_the_readme_gives_the_two_commands_and_leads_to_the_rest() -> None:
    readme = ROOT_PAGES[0].read_text("utf-8")
    assert "./longshore up" in readme
    assert "./longshore test" in readme
    for target in ("docs/api.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"):
        assert f"]({target}" in readme


@pytest.mark.parametrize("page", by_name(PAGES))
def test_a_command_that_is_given_exists(page: Path) -> None:
    given = set(re.findall(r"`\./longshore ([a-z]+)", page.read_text("utf-8")))
    assert given <= {*COMMANDS, "help"}


def test_the_changelog_has_room_for_what_is_not_released() -> None:
    assert "## [Unreleased]" in ROOT_PAGES[2].read_text("utf-8")


def test_the_list_for_language_models_has_every_document() -> None:
    text = (CHECKOUT / "llms.txt").read_text("utf-8")
    assert re.match(r"# .+\n\n> ", text), "a title, then what it is in a quotation"
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): .+$", text, re.MULTILINE)
    assert len(listed) == text.count("\n- ")
    single = [page for page in PAGES if not re.match(r"\d", page.name)]  # decisions have a list
    assert sorted(listed) == sorted(str(page.relative_to(CHECKOUT)) for page in single)


def test_every_decision_is_listed_and_short() -> None:
    pages = sorted((DOCS / "decisions").glob("0*.md"))
    overview = text_of("decisions/README.md")
    for page in pages:
        lines = page.read_text("utf-8").splitlines()
        assert f"[{page.name[:4]}]({page.name}) | {lines[0].partition(': ')[2]} |" in overview
        assert len(lines) <= 40, page.name
        assert [line for line in lines if line.startswith("## ")] == [
            "## Context",
            "## Decision",
            "## Consequences",
        ]
