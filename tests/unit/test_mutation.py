"""`./longshore mutate`: what is changed, and that what no test notices is told."""

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from dev import CHECKOUT
from dev.mutation import covering, equivalent
from dev.mutation.__main__ import EQUIVALENT
from dev.mutation.operators import mutants_of

PRODUCT = """\
seen: list[int] = []


def fits(size: int) -> bool:
    return size <= 5


def remember(size: int) -> None:
    seen.append(size)


def forget() -> None:
    seen.clear()
"""
TESTS = """\
from toy.sizes import fits, remember


def test_looks_at_both_sides_of_the_limit():
    assert fits(5)
    assert not fits(6)


def test_looks_at_nothing():
    remember(9)
"""
LISTED = """\
[[mutant]]
file = "toy/sizes.py"
within = "forget"
was = "seen.clear()"
becomes = "pass"
reason = "nobody reads it"
"""


def changes(source: str) -> set[tuple[str, str]]:
    return {(each.operator, each.becomes) for each in mutants_of("a.py", dedent(source))}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a == b", {("comparison swapped", "(a != b)")}),
        ("x = a < b", {("comparison swapped", "(a >= b)"), ("boundary moved", "(a <= b)")}),
        ("while a: x = b", {("condition negated", "not (a)")}),
        ("x = b if a else c", {("condition negated", "not (a)")}),
        ("x = a and b", {("and/or", "(a or b)")}),
        ("x = not a", {("not dropped", "(a)")}),
        ("x = a + b", {("arithmetic", "(a - b)")}),
        ("x = 9, 10, True, 'abc'", {("constant changed", each) for each in ("10", "20", "False", "'abb'")}),
        ("a.b()", {("statement dropped", "pass")}),
        ("await a()", {("statement dropped", "pass")}),
        ("raise Problem('some-code')", {("statement dropped", "pass")}),
        ("def f(n: int = 1): return n", {("constant changed", "2"), ("nothing returned", "return None")}),
        ("def f(): return False", {("constant changed", "True")}),
        ("x: list['A'] = [c for c in b if c > a]", {("comparison swapped", "(c <= a)"), ("boundary moved", "(c >= a)")}),
    ],
)  # fmt: skip # one table
def test_each_operator_makes_a_change_that_a_person_would_recognise(
    source: str, expected: set[tuple[str, str]]
) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        'def f() -> "A":\n    """Words."""',
        "log.info('was-here', size=3)",
        "x = Field(description='of-it')",
        "if TYPE_CHECKING:\n    from a import B",
        "T = TypeVar('T')",
        "__all__ = ['a']",
        "x = 'words of a person'",
        "X = Start | End",
        "reached('api-after-commit')",
        "x = zip(a, b, strict=True)",
        "class Over(Exception):\n    def __init__(self):\n        super().__init__('why')",
    ],
)
def test_what_no_test_should_look_at_is_left_alone(source: str) -> None:
    assert changes(source) == set()


def test_a_change_touches_nothing_but_its_place() -> None:
    source = "def f(a):\n    x = 'ü'  # why\n    return a < 2  # and why\n"
    (moved,) = (each for each in mutants_of("a.py", source) if each.operator == "boundary moved")

    assert moved.applied_to(source.encode()).decode() == source.replace("a < 2", "(a <= 2)")


def test_a_change_that_no_test_notices_is_told_with_the_tests_that_ran(tmp_path: Path) -> None:
    checkout, report = tmp_path / "checkout", tmp_path / "report.json"
    for name, content in (
        ("toy/sizes.py", PRODUCT),
        ("tests/unit/test_sizes.py", TESTS),
        ("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["."]\n'),
        (EQUIVALENT, LISTED),
    ):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(content)
    subprocess.run(["git", "init", "-q", checkout], check=True)

    done = subprocess.run(
        [
            *(sys.executable, "-m", "dev.mutation", "--checkout", checkout, "--seed", "1"),
            *("--modules", "toy/*.py", "--state-dir", tmp_path / "state", "--json", report),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "LONGSHORE_TEST_POSTGRES": "postgresql+asyncpg://nobody@127.0.0.1/none"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["within"]: each for each in json.loads(report.read_text())}
    good, bad = (f"tests/unit/test_sizes.py::test_looks_at_{at}" for at in ("both_sides_of_the_limit", "nothing"))  # fmt: skip # one line
    assert (found["fits"]["verdict"], found["fits"]["noticed_by"]) == ("noticed", good)
    assert (found["remember"]["verdict"], found["remember"]["asked"]) == ("survived", [bad])
    assert found["forget"]["verdict"] == "no test runs it"
    assert found["forget"]["equivalent"] == "nobody reads it"
    assert "\n  - seen.append(size)\n  + pass\n" in done.stdout
    assert "50.0% noticed" in done.stdout
    assert (checkout / "toy/sizes.py").read_text() == PRODUCT


def test_each_equivalent_mutant_is_one_of_the_code_of_today() -> None:
    listed = equivalent.read(CHECKOUT / EQUIVALENT)

    made = {
        each.name
        for file in {name[0] for name in listed}
        for each in mutants_of(file, (CHECKOUT / file).read_text("utf-8"))
    }
    assert listed.keys() <= made


def test_tests_of_processes_come_last_and_each_once() -> None:
    mutant = mutants_of("api/http/connections.py", "def most():\n    return 5\n")[0]
    edge, shares = (f"tests/integration/test_{name}.py::one" for name in ("edge", "shares"))
    of_processes = [
        covering.Test(name, 1, {}) for name in (f"{edge}[sqlite]", f"{edge}[postgresql]", shares)
    ]
    slow = covering.Test("tests/unit/test_slow.py::one", 9, {mutant.file: set(mutant.lines)})
    asked = covering.Covering([*of_processes, slow]).of(mutant, at_most=40)
    assert [test.name for test in asked] == [slow.name, f"{edge}[sqlite]", shares]
