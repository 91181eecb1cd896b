"""docs/reliability.md names a test for each fault, and each test it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/reliability.md").read_text("utf-8")
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
FAULTS = 37


def test_each_fault_has_its_row_and_each_row_a_test_that_exists() -> None:
    rows = {int(number): shown for number, _, _, shown in ROW.findall(PAGE)}
    assert list(rows) == list(range(1, FAULTS + 1))
    for number, shown in rows.items():
        named = re.findall(r"`(.+?)::(\w+)`", shown)
        assert named, f"{number} is shown by nothing"
        for path, test in named:
            assert test in _tests(TESTS / path), f"{number}: {path}::{test}"


def test_every_test_the_page_names_is_there() -> None:
    for path, test in re.findall(r"`([\w/.]+)::(\w+)`", PAGE):
        assert test in _tests(TESTS / path), f"{path}::{test}"


def test_every_test_of_a_fault_is_on_the_page() -> None:
    for path in sorted((TESTS / "faults").glob("test_*.py")):
        for test in _tests(path):
            assert f"`faults/{path.name}::{test}`" in PAGE


@cache
def _tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.name
        for node in tree.body
        if isinstance(node, functions) and node.name.startswith("test_")
    }
