"""Where LibreOffice is missing, the definitions say whether that matters, and the worker asks."""

from pathlib import Path

import httpx
import pytest

from shared.finding import Level
from shared.form_definition import FormDefinitionError, load_form_types
from shared.formats import DOCX
from tests.unit.test_promoter import settings
from worker.diagnosis.confinement import closed
from worker.diagnosis.office import check_office
from worker.office.program import find_program, version_of
from worker.records_client import RecordsClient


def field(rules: str) -> str:
    return (
        'type = "apply"\ntitle = "Apply"\n[[sections]]\nname = "all"\ntitle = "All"\n'
        '[[sections.fields]]\nname = "cv"\nlabel = "CV"\nkind = "file"\nmax_bytes = 1000\n'
        f'accept = ["{DOCX.media_type}"]\n{rules}\n'
    )


CONVERTED = f'convert = {{ "{DOCX.media_type}" = "application/pdf" }}\n'


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ('document = { macros = "strip" }', "isn't converted to it"),
    ],
)
def test_macros_that_could_not_be_taken_out_stop_the_start(
    tmp_path: Path, rules: str, reason: str
) -> None:
    (tmp_path / "apply.toml").write_text(field(rules), encoding="utf-8")
    with pytest.raises(FormDefinitionError, match=r"apply.toml: .*document.*macros") as error:
        load_form_types(tmp_path)
    assert reason in str(error.value)


def test_a_field_that_strips_macros_and_converts_is_taken(tmp_path: Path) -> None:
    rules = CONVERTED + 'document = { macros = "strip" }'
    (tmp_path / "apply.toml").write_text(field(rules), encoding="utf-8")
    found = load_form_types(tmp_path)["apply"].file_fields["cv"]
    assert found.policy.needs_office == (DOCX.media_type,)


async def said(folder: Path, answer: httpx.Response | None) -> tuple[Level, str]:
    """What the check of a worker without LibreOffice says, when the api answers that."""

    def api(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/internal/office-needs"
        if answer is None:
            raise httpx.ConnectError("away")
        return answer

    transport = httpx.MockTransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        (finding,) = await check_office(None, settings(folder), RecordsClient(http))
    return finding.level, str(finding)


async def test_a_worker_without_it_doesnt_start_where_a_field_needs_it(tmp_path: Path) -> None:
    level, text = await said(tmp_path, httpx.Response(200, json={"fields": ["apply.cv"]}))
    assert level is Level.WRONG
    assert "apply.cv" in text
    assert "libreoffice-writer-nogui" in text


async def test_a_worker_that_has_it_says_what_it_is_kept_from(tmp_path: Path) -> None:
    program = tmp_path / "program" / "soffice.bin"
    program.parent.mkdir()
    (program.parent / "bootstraprc").write_text("[Bootstrap]\nProductKey=LibreOffice 7.4\n")
    it, *held = await check_office(program, settings(tmp_path), None)
    assert "LibreOffice 7.4" in str(it)
    assert held
    assert all(
        "has no way to" in str(each) or "no Landlock" in str(each) or "no seccomp" in str(each)
        for each in held
    )


def test_what_the_kernel_leaves_open_is_a_warning_each() -> None:
    found = closed("x", ["files"])
    assert [each.level for each in found] == [Level.WARNING, Level.WARNING]
    assert [each.level for each in closed("x", ["files", "network", "processes"])] == [Level.OK]


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (httpx.Response(200, json={"fields": []}), Level.OK),
        (httpx.Response(404), Level.OK),
        (None, Level.WARNING),
    ],
    ids=["none needs it", "an older api", "the api is away"],
)
async def test_a_worker_without_it_starts_otherwise(
    tmp_path: Path, answer: httpx.Response | None, level: Level
) -> None:
    assert (await said(tmp_path, answer))[0] is level


def test_the_program_is_found_beside_its_script(tmp_path: Path) -> None:
    program = tmp_path / "program" / "soffice.bin"
    program.parent.mkdir()
    program.write_text("", encoding="utf-8")
    program.chmod(0o755)
    (program.parent / "bootstraprc").write_text("[Bootstrap]\nProductKey=LibreOffice 7.4\n")
    script = tmp_path / "soffice"
    script.symlink_to(program.parent / "soffice")
    assert find_program(script) == program
    assert version_of(program) == "LibreOffice 7.4"
    assert find_program(tmp_path / "elsewhere" / "soffice") is None
