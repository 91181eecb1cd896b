import os
import threading
from pathlib import Path

import pytest

from dev import environments
from dev.environments import STAMP, Environment


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/some.txt").write_text("one==1\n")
    (tmp_path / ".venvs/uv").mkdir(parents=True)
    monkeypatch.setattr(environments, "CHECKOUT", tmp_path)
    monkeypatch.setattr(environments, "ROOT", tmp_path / ".venvs")
    monkeypatch.setattr(environments, "_held", [])
    return tmp_path


def tiny(calls: list[str], *, fails: bool = False) -> Environment:
    def make(folder: Path, _requirements: list[Path]) -> None:
        calls.append(folder.name)
        folder.mkdir()
        if fails:
            raise RuntimeError

    return Environment("tiny", ("some.txt",), make)


def end_of_the_process() -> None:
    """Let go of what this process holds, as its end would."""
    while environments._held:
        os.close(environments._held.pop())


def test_an_environment_is_made_once(checkout: Path) -> None:
    calls: list[str] = []

    environments._make_or_wait(tiny(calls))
    environments._make_or_wait(tiny(calls))

    assert calls == ["tiny"]
    assert (checkout / ".venvs/tiny" / STAMP).exists()


def test_an_environment_whose_requirements_changed_is_made_again(checkout: Path) -> None:
    calls: list[str] = []
    environments._make_or_wait(tiny(calls))
    end_of_the_process()

    (checkout / "requirements/some.txt").write_text("one==2\n")
    environments._make_or_wait(tiny(calls))

    assert calls == ["tiny", "tiny"]


def test_a_set_up_that_was_cut_short_is_done_again(checkout: Path) -> None:
    calls: list[str] = []
    with pytest.raises(RuntimeError):
        environments._make_or_wait(tiny(calls, fails=True))
    assert (checkout / ".venvs/tiny").exists()

    environments._make_or_wait(tiny(calls))

    assert calls == ["tiny", "tiny"]


def test_an_environment_whose_python_is_gone_is_made_again(checkout: Path) -> None:
    calls: list[str] = []
    environments._make_or_wait(tiny(calls))
    (checkout / ".venvs/tiny/bin").mkdir()
    (checkout / ".venvs/tiny/bin/python").symlink_to("/not/there")

    assert not tiny(calls).is_fresh()


def test_an_outdated_environment_is_not_made_again_under_a_running_stack(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []
    environments._make_or_wait(tiny(calls))  # the stack that runs
    (checkout / "requirements/some.txt").write_text("one==2\n")

    second = threading.Thread(target=environments._make_or_wait, args=(tiny(calls),))
    second.start()
    second.join(0.5)
    assert calls == ["tiny"]
    assert "waiting for another ./longshore" in capsys.readouterr().out

    end_of_the_process()
    second.join(5)
    assert calls == ["tiny", "tiny"]


def test_the_compiled_requirements_of_every_environment_are_there() -> None:
    for environment in environments.ENVIRONMENTS.values():
        assert all(path.exists() for path in environment.requirements)
