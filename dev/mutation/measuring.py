"""A plugin of pytest: which lines of the product each test runs, and how long it takes.

`LONGSHORE_MUTATION` names the file that it writes; `coverage` has to be on the path.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

_coverage: coverage.Coverage
_seconds: defaultdict[str, float] = defaultdict(float)
_failed: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    global _coverage  # noqa: PLW0603 - a plugin given by name is a module
    modules = os.environ["LONGSHORE_MUTATION_MODULES"].split(",")
    _coverage = coverage.Coverage(
        data_file=None,
        config_file=False,
        include=[str(config.rootpath / module) for module in modules],
        concurrency=["thread", "greenlet"],
        messages=False,
    )
    _coverage.start()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _coverage.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration
    if report.outcome != "passed":
        _failed.add(report.nodeid)


def pytest_unconfigure(config: pytest.Config) -> None:
    _coverage.stop()
    data = _coverage.get_data()
    lines: dict[str, dict[str, list[int]]] = {test: {} for test in _seconds}
    for path in data.measured_files():
        module = str(Path(path).relative_to(config.rootpath))
        for line, tests in data.contexts_by_lineno(path).items():
            for test in tests:
                if test:  # and not while pytest collected
                    lines[test].setdefault(module, []).append(line)
    measured = {
        test: {"seconds": seconds, "passes": test not in _failed, "lines": lines[test]}
        for test, seconds in _seconds.items()
    }
    Path(os.environ["LONGSHORE_MUTATION"]).write_text(json.dumps(measured), "utf-8")
