from pathlib import Path

import pytest

from dev import pip_settings


@pytest.fixture
def pip_conf(tmp_path: Path) -> Path:
    path = tmp_path / "pip.conf"
    path.write_text(
        "[global]\n"
        "index-url = https://mirror.example/simple\n"
        "extra_index_url =\n"
        "    https://one.example/simple\n"
        "    https://two.example/simple\n"
        "cert = /etc/own-ca.pem\n"
        "[install]\n"
        f"find-links = {tmp_path} /not/there\n"
    )
    return path


def test_uv_gets_the_indexes_links_and_certificate_of_pips_files(
    pip_conf: Path, tmp_path: Path
) -> None:
    variables = pip_settings.for_uv(pip_settings.read({}, [pip_conf]))

    assert variables == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": str(tmp_path),
        "SSL_CERT_FILE": "/etc/own-ca.pem",
    }


def test_a_pip_variable_wins_over_pips_files(pip_conf: Path) -> None:
    settings = pip_settings.read({"PIP_INDEX_URL": "https://other.example"}, [pip_conf])

    assert settings["index-url"] == "https://other.example"
    assert settings["cert"] == "/etc/own-ca.pem"


def test_a_later_file_wins_over_an_earlier_one(pip_conf: Path, tmp_path: Path) -> None:
    users = tmp_path / "users.conf"
    users.write_text("[global]\nindex-url = https://users.example\n")

    settings = pip_settings.read({}, [pip_conf, users])

    assert settings["index-url"] == "https://users.example"


def test_a_file_that_is_no_configuration_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "pip.conf"
    broken.write_text("no section = here")

    assert pip_settings.read({}, [broken, tmp_path / "absent.conf"]) == {}


def test_pips_files_are_looked_for_where_pip_looks_and_the_named_one_counts_most() -> None:
    environ = {"HOME": "/home/ann", "PIP_CONFIG_FILE": "/named.conf"}

    files = [str(path) for path in pip_settings.config_files(environ)]

    assert files[-1] == "/named.conf"
    assert files.index("/etc/pip.conf") < files.index("/home/ann/.config/pip/pip.conf")
    assert {"/etc/xdg/pip/pip.conf", "/home/ann/.pip/pip.conf"} < set(files)


def test_pips_files_are_left_alone_when_pip_is_told_so() -> None:
    assert pip_settings.config_files({"PIP_CONFIG_FILE": "/dev/null", "HOME": "/root"}) == []


def test_what_the_user_set_for_uv_wins_over_what_pip_was_told() -> None:
    environ = {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "https://pip.example",
        "PIP_EXTRA_INDEX_URL": "https://extra.example",
        "UV_INDEX": "https://uv.example",
        "UV_INDEX_STRATEGY": "first-index",
        "UV_INDEX_URL": "https://older-name.example",
    }

    variables = pip_settings.uv_environment(environ)

    assert variables["UV_INDEX"] == "https://uv.example"
    assert variables["UV_INDEX_STRATEGY"] == "first-index"
    assert "UV_DEFAULT_INDEX" not in variables


def test_another_pythons_variables_are_never_handed_on() -> None:
    environ = {"PYTHONPATH": "/x", "PYTHONHOME": "/x", "VIRTUAL_ENV": "/x", "HOME": "/home/ann"}

    assert pip_settings.own_environment(environ) == {"HOME": "/home/ann"}
