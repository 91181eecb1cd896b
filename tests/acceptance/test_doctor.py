"""`./longshore doctor` looks at the machine, then has api and worker check what they need."""

import os
import re
import subprocess
from pathlib import Path

from dev.ports import free_port
from tests.support.stack import CHECKOUT, Stack

LEVELS = {"ok", "warning", "wrong"}


def doctor(*arguments: str | Path, **env: str) -> tuple[int, dict[str, list[list[str]]], str]:
    """Exit status, the lines of each section as [level, name, text], and all that was said."""
    done = subprocess.run(
        ["./longshore", "doctor", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    sections: dict[str, list[list[str]]] = {}
    title = ""
    for line in done.stdout.splitlines():
        if line.startswith("  "):
            sections[title].append(re.split(r" {2,}", line.strip(), maxsplit=2))
        else:
            title = line.partition(",")[0]
            sections[title] = []
    return done.returncode, sections, done.stdout + done.stderr


def levels(section: list[list[str]]) -> dict[str, str]:
    return {name: level for level, name, *_ in section}


def test_of_a_running_stack_everything_is_in_order(stack: Stack) -> None:
    status, sections, said = doctor(
        "--state-dir", stack.state_dir
    )  # as a person would, without its env
    assert status == 0, said
    for section in ("api", "worker"):
        assert set(levels(sections[section]).values()) == {"ok"}, said
    assert {"DATABASE_URL", "STAGING_DIR", "REDIS_URL", "S3_ACCESS_KEY_ID"} <= set(
        levels(sections["api"])
    )
    assert {"REDIS_URL", "INTERNAL_SECRET", "S3_ENDPOINT_URL", "decoder"} <= set(
        levels(sections["worker"])
    )
    assert all(line[0] in LEVELS for section in sections.values() for line in section), said
    secrets = stack.info["s3"]["secret_access_key"], stack.info["service_key"]
    assert not any(secret in said for secret in secrets)


def test_where_no_stack_has_run_it_looks_at_the_machine_alone(tmp_path: Path) -> None:
    _, sections, said = doctor("--state-dir", tmp_path / "none")
    assert levels(sections["this machine"])["Python"] == "ok"
    assert "no stack has run on" in said
    assert not (tmp_path / "none").exists()


def test_an_env_files_wrong_settings_are_named_for_each_service(tmp_path: Path) -> None:
    settings = tmp_path / "settings.env"
    settings.write_text(
        f"# both\nREDIS_URL=redis://127.0.0.1:{free_port()}/0\nSTAGING_DIR='{tmp_path}/volume'\n"
        "S3_API_SECRET_ACCESS_KEY=change-me-api\nexport INTERNAL_SECRET=short\n"
    )
    status, sections, said = doctor("--env-file", settings, "--state-dir", tmp_path)
    assert status == 1
    wrong = {service: levels(sections[service]) for service in ("api", "worker")}
    assert wrong["api"]["S3_SECRET_ACCESS_KEY"] == "wrong"
    assert wrong["api"]["INTERNAL_SECRETS"] == wrong["worker"]["INTERNAL_SECRET"] == "wrong"
    assert wrong["worker"]["S3_BUCKET"] == "wrong"
    assert "REDIS_URL" not in wrong["api"]
    assert "change-me" not in said


def test_composes_own_env_file_is_to_be_asked_about_in_the_containers(tmp_path: Path) -> None:
    example = CHECKOUT / ".env.example"
    status, _, said = doctor("--env-file", example, "--state-dir", tmp_path)
    assert status == 1
    assert "docker compose exec api python -m api.check" in said
