"""One deployment of compose.yaml on a container engine, for every test that only looks at it.

Skipped where no engine answers. Images come from the registry, or are stand-ins; a line says which.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import engine
from tests.support.engine import Deployment, EngineError, deployment

NOTES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.engine)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in terminalreporter.config.stash.get(NOTES, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def notes(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the run: figures, and what was stood in for."""
    return pytestconfig.stash.setdefault(NOTES, [])


@pytest.fixture(scope="session")
def base_images(notes: list[str]) -> None:
    reason = engine.why_none()
    if reason:
        pytest.skip(f"no container engine: {reason}")
    notes.append(engine.versions())
    asked = True
    for image in engine.foreign_images():
        try:
            which = engine.provide(image, ask_registry=asked)
        except (EngineError, OSError) as error:
            pytest.skip(f"neither {image} nor a stand-in for it can be had: {error}")
        asked = which == "as named"  # of one that can't be reached nothing more is asked
        notes.append(f"{image}: {which}")


@pytest.fixture(scope="session")
def images(base_images: None, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: ARG001 - it has to be there
    """Both images, built by their Dockerfiles as Compose builds them."""
    folder = tmp_path_factory.mktemp("build")
    made = Deployment("longshore-build", folder)
    made.overrides = engine.build_override(folder)
    made("build")


@pytest.fixture(scope="session")
def running(
    images: None,  # noqa: ARG001 - it has to be there
    tmp_path_factory: pytest.TempPathFactory,
    notes: list[str],
) -> Iterator[Deployment]:
    """The example as it is, started as docs/deployment.md says."""
    with deployment("longshore-engine", tmp_path_factory.mktemp("engine")) as made:
        notes.append(f"healthy {made.up():.1f} s after docker compose up")
        yield made
