"""Which tests run which lines: measured once, and measured again where the tree has changed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.mutation import targets
from dev.mutation.operators import Mutant
from dev.mutation.tree import Tree
from dev.say import say


@dataclass(frozen=True)
class Test:
    name: str  # pytest's
    seconds: float
    lines: dict[str, set[int]]

    @property
    def file(self) -> str:
        return self.name.partition("::")[0]

    @property
    def reach(self) -> int:
        """How many lines it runs: the fewer, the more it is about each."""
        return sum(map(len, self.lines.values()))


class Covering:
    def __init__(self, tests: list[Test]) -> None:
        self._tests = tests

    def of(self, mutant: Mutant, at_most: int) -> list[Test]:
        """The tests to ask: so many of which it is known that they run its lines, the quickest
        first, and then those of the product as processes.

        A table at the head of a module is run by nobody's test, but when the module is imported:
        then those are asked that run anything else of it.
        """
        of_module = [test for test in self._tests if test.lines.get(mutant.file)]
        running = [test for test in of_module if test.lines[mutant.file] & mutant.lines]
        if not running and not mutant.within:
            running = of_module
        running.sort(key=lambda test: (not _is_about(test, mutant), test.reach, test.seconds))
        chosen = sorted(_one_of_each(running)[:at_most], key=lambda test: test.seconds)
        others = {
            test.name: test
            for beginning, files in targets.IN_PROCESSES.items()
            if mutant.file.startswith(beginning)
            for test in _one_of_each(self._tests)
            if test.file in files and test not in chosen
        }
        return [*chosen, *others.values()]


def _is_about(test: Test, mutant: Mutant) -> bool:
    """Whether the test's file is named after the module."""
    return Path(mutant.file).stem in Path(test.file).stem


def _one_of_each(tests: list[Test]) -> list[Test]:
    """Without the repetition on PostgreSQL of a test that runs the lines on SQLite, too."""
    names = {test.name for test in tests}
    return [
        test
        for test in tests
        if _on_sqlite(test.name) == test.name or _on_sqlite(test.name) not in names
    ]


def _on_sqlite(name: str) -> str:
    return name.replace("[postgresql", "[sqlite")


def covering(tree: Tree, files: list[str], modules: list[str], kept: Path) -> Covering:
    """Measure what isn't known of this tree from an earlier run, which is in the file `kept`.

    The modules of the promise are always among those measured, so that most runs find them there.
    """
    measuring = sorted(targets.default(tree.root) | set(modules))
    known = _known(tree, kept, measuring)
    behind = [file for file in files if known.get(file, {}).get("digest") != tree.digest([file])]
    if behind:
        say(f"measuring which lines the tests of {len(behind)} files run ...")
        measured = tree.measure(behind, measuring)
        for file in behind:
            known[file] = {"digest": tree.digest([file]), "tests": {}}
        for name, test in measured.items():
            known[name.partition("::")[0]]["tests"][name] = test
        content = {"product": tree.product, "modules": measuring, "files": known}
        kept.write_text(json.dumps(content), "utf-8")
    tests = [
        Test(name, test["seconds"], {file: set(of) for file, of in test["lines"].items()})
        for file in files
        for name, test in known[file]["tests"].items()
        if test["passes"]
    ]
    return Covering(tests)


def _known(tree: Tree, kept: Path, measuring: list[str]) -> dict[str, Any]:
    """By file of tests; nothing when the product or what is measured of it is another by now."""
    try:
        content: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if content["product"] != tree.product or content["modules"] != measuring:
        return {}
    files: dict[str, Any] = content["files"]
    return files
