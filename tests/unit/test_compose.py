"""What compose.yaml, .env.example and the Dockerfiles promise, without an engine to run them."""

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from ipaddress import ip_network
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from api.settings.records import RecordsSettings
from api.settings.settings import Settings as ApiSettings
from api.texts.errors import ERRORS, GUIDE
from shared.form_definition import load_form_types
from shared.settings_errors import explain
from shared.version import VERSION
from tests.support.compose import (
    CHECKOUT,
    Service,
    ask_compose,
    command,
    composed,
    copied,
    environment,
    instructions,
    read_example,
    tool,
)
from worker.settings import Settings as WorkerSettings

COMPOSE = (CHECKOUT / "compose.yaml").read_text("utf-8")
DOCKERFILES = {name: CHECKOUT / f"deploy/Dockerfile.{name}" for name in ("api", "worker")}
SETTINGS: dict[str, type[BaseSettings]] = {
    "api": ApiSettings,
    "worker": WorkerSettings,
    "migrate": RecordsSettings,
}
STAGING = "/var/lib/longshore/staging"
GIB = 1024**3


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return composed()


@pytest.fixture(scope="module")
def services(project: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = project["services"]
    return found


def seconds(duration: str) -> int:
    matched = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration)
    assert matched, duration
    return int(matched[1] or 0) * 60 + int(matched[2] or 0)


def shared_networks(services: dict[str, Service], one: str, other: str) -> set[str]:
    return set(services[one].get("networks", {})) & set(services[other].get("networks", {}))


def settings_from(
    service: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> BaseSettings:
    for field in SETTINGS[service].model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return SETTINGS[service]()


# --- the files themselves


def test_the_compose_file_follows_its_specification() -> None:
    checker = tool("check-jsonschema")
    judged = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_passes_its_linter(name: str) -> None:
    judged = subprocess.run(
        [tool("hadolint"), DOCKERFILES[name]], capture_output=True, text=True, check=False
    )
    assert judged.returncode == 0, judged.stdout


def test_without_an_env_file_compose_says_which_variable_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    answer = ask_compose("config", "--quiet", env_file=tmp_path / "empty")
    assert answer.returncode != 0
    assert "see .env.example" in answer.stderr


def test_every_variable_of_the_example_is_one_that_compose_reads() -> None:
    read = set(re.findall(r"\$\{(\w+)", COMPOSE)) | set(
        re.findall(r"^ +(\w+):$", COMPOSE, re.MULTILINE)
    )
    commented = re.findall(
        r"^#(\w+)=", (CHECKOUT / ".env.example").read_text("utf-8"), re.MULTILINE
    )
    assert {*read_example(), *commented} <= read | {"COMPOSE_PROFILES"}  # Compose's own


def test_what_the_env_file_may_say_of_images_and_addresses_is_in_the_example() -> None:
    by_default = {"SHUTDOWN_SECONDS", "INTERNAL_SECRETS"}
    read = set(re.findall(r"\$\{(\w+)", COMPOSE))
    example = (CHECKOUT / ".env.example").read_text("utf-8")
    assert read - by_default <= set(re.findall(r"^#?(\w+)=", example, re.MULTILINE))


def test_every_secret_of_the_example_says_that_it_is_one() -> None:
    secrets = {n: v for n, v in read_example().items() if re.search("SECRET|PASSWORD", n)}
    assert len(secrets) == 5
    assert all(value.startswith("change-me") for value in secrets.values())


def test_every_image_is_pinned_to_an_exact_version(services: dict[str, Service]) -> None:
    foreign = {s["image"] for s in services.values() if not s["image"].endswith(":local")}
    bases = {
        arguments.split()[0]
        for path in DOCKERFILES.values()
        for name, arguments in instructions(path)
        if name == "FROM"
    }
    assert len(bases) == 1
    for image in foreign | bases:
        assert re.search(r":\d+\.\d+", image), image


# --- what the services are told


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_is_told_only_what_it_knows_and_all_that_it_needs(
    service: str, services: dict[str, Service]
) -> None:
    known = SETTINGS[service].model_fields
    asked = {name.lower() for name in services[service]["environment"]}
    given = {name.lower() for name in environment(services[service])}
    by_launcher = {"internal_host"} if service == "api" else set()
    for_launcher = {"internal_name"} if service == "api" else set()
    assert for_launcher <= asked
    assert asked - for_launcher | by_launcher <= set(known)
    assert {n for n, field in known.items() if field.is_required()} <= given


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_starts_with_the_example_as_it_is(
    service: str, services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_from(service, environment(services[service]), monkeypatch)


@pytest.mark.parametrize("service", ["api", "worker"])
def test_production_refuses_the_secrets_of_the_example(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = environment(composed(ENVIRONMENT="production")["services"][service])
    with pytest.raises(ValidationError, match="is the example's"):
        settings_from(service, given, monkeypatch)


SECRETS_REACH = {
    "INTERNAL_SECRET": {("api", "INTERNAL_SECRETS"), ("worker", "INTERNAL_SECRET")},
    "POSTGRES_PASSWORD": {("api", "DATABASE_URL")},
    "REDIS_PASSWORD": {("api", "REDIS_URL"), ("worker", "REDIS_URL")},
    "S3_API_SECRET_ACCESS_KEY": {("api", "S3_SECRET_ACCESS_KEY")},
    "S3_WORKER_SECRET_ACCESS_KEY": {("worker", "S3_SECRET_ACCESS_KEY")},
}


@pytest.mark.parametrize("left", SECRETS_REACH)
def test_in_production_each_secret_of_the_example_is_refused_alone(
    left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {n: "f00d" * 8 for n, v in read_example().items() if v.startswith("change-me")}
    assert own.keys() == SECRETS_REACH.keys()
    del own[left]
    services = composed(ENVIRONMENT="production", **own)["services"]
    refused = set()
    for service in ("api", "worker"):
        try:
            settings_from(service, environment(services[service]), monkeypatch)
        except ValidationError as error:
            refused |= {(service, finding.name) for finding in explain(error)}
    assert refused == SECRETS_REACH[left]


def test_without_a_word_the_environment_is_production(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text(
        "\n".join(f"{n}={v}" for n, v in read_example().items() if n != "ENVIRONMENT")
    )
    answer = ask_compose("config", "--format", "json", env_file=env_file)
    read = json.loads(answer.stdout)["services"]
    assert {read[s]["environment"]["ENVIRONMENT"] for s in ("api", "worker")} == {"production"}


def test_what_is_tuned_in_the_env_file_reaches_the_service() -> None:
    services = composed(MAX_JOBS="3", WORK_SECONDS="60")["services"]
    assert environment(services["worker"])["MAX_JOBS"] == "3"
    assert environment(services["api"])["WORK_SECONDS"] == "60"


LEFT_OUT = {
    "api": {"CRASH_POINTS", "FORWARDING_HEADER", "INTERNAL_HOST"},
    "worker": {"CRASH_POINTS"},
}
"""Settings that Compose tells nobody: docs/settings.md says why."""


@pytest.mark.parametrize("service", LEFT_OUT)
def test_every_setting_can_be_given_but_for_those_that_the_docs_leave_out(
    service: str, services: dict[str, Service]
) -> None:
    known = {name.upper() for name in SETTINGS[service].model_fields}
    assert known - set(services[service]["environment"]) == LEFT_OUT[service], "compose.yaml"
    docs = (CHECKOUT / "docs/settings.md").read_text("utf-8")
    [section] = re.findall(r"^## In Compose$(.*?)(?=^## |\Z)", docs, re.MULTILINE | re.DOTALL)
    read = set(re.findall(r"\$\{(\w+)", COMPOSE))
    in_place = {
        name
        for name in known & set(environment(services[service]))
        if name not in read and not re.search("URL|BUCKET|KEY|TRUSTED|S3_", name)
    }
    for name in LEFT_OUT[service] | in_place:
        assert f"`{name}`" in section, name


def test_while_a_secret_is_rotated_the_api_takes_two_and_the_worker_sends_one() -> None:
    services = composed(INTERNAL_SECRET="new", INTERNAL_SECRETS="new,old")["services"]
    assert environment(services["api"])["INTERNAL_SECRETS"] == "new,old"
    assert environment(services["worker"])["INTERNAL_SECRET"] == "new"


def test_each_service_has_only_its_own_secrets(services: dict[str, Service]) -> None:
    example = read_example()
    holders = {
        name: {s for s in services if value in json.dumps(services[s].get("environment", {}))}
        for name, value in example.items()
        if value.startswith("change-me")
    }
    assert holders == {
        "INTERNAL_SECRET": {"api", "worker"},
        "POSTGRES_PASSWORD": {"api", "migrate", "postgres"},
        "REDIS_PASSWORD": {"api", "worker", "redis"},
        "S3_WORKER_SECRET_ACCESS_KEY": {"worker", "objectstore"},
        "S3_API_SECRET_ACCESS_KEY": {"api", "objectstore"},
    }


def test_links_open_where_the_object_store_is_published(services: dict[str, Service]) -> None:
    (port,) = services["objectstore"]["ports"]
    public = environment(services["api"])["S3_PUBLIC_ENDPOINT_URL"]
    assert public == f"http://localhost:{port['published']}"
    assert (
        environment(services["worker"])["S3_ENDPOINT_URL"] == f"http://objectstore:{port['target']}"
    )
    (port,) = services["proxy"]["ports"]
    assert environment(services["api"])["PUBLIC_URL"] == f"http://localhost:{port['published']}"


def test_services_log_json(services: dict[str, Service]) -> None:
    assert {environment(services[s])["LOG_FORMAT"] for s in ("api", "worker")} == {"json"}


# --- what they may touch


def test_the_api_writes_the_staging_volume_and_the_worker_only_reads_it(
    services: dict[str, Service],
) -> None:
    mounts = {
        name: volume
        for name, service in services.items()
        for volume in service.get("volumes", [])
        if volume["source"] == "staging"
    }
    assert set(mounts) == {"api", "worker"}
    assert {mount["target"] for mount in mounts.values()} == {STAGING}
    assert {environment(services[s])["STAGING_DIR"] for s in mounts} == {STAGING}
    assert mounts["worker"]["read_only"] is True
    assert "read_only" not in mounts["api"]


def test_nothing_runs_as_root(services: dict[str, Service]) -> None:
    users = {name: service.get("user", "root").split(":")[0] for name, service in services.items()}
    assert not {"root", "0", ""} & set(users.values()), users
    assert users["api"] == users["worker"] == users["migrate"]


def test_every_container_gives_up_what_it_does_not_need(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name
        assert "cap_add" not in service, name
        assert "privileged" not in service, name
        memory = service["deploy"]["resources"]["limits"]["memory"]
        assert int(memory) > 0, name
        assert service["memswap_limit"] == memory, "nothing of it is swapped to a disk"


def test_only_the_proxy_and_the_object_store_are_published_and_only_on_this_machine(
    services: dict[str, Service],
) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert {name: [p["target"] for p in found] for name, found in ports.items()} == {
        "proxy": [8080],
        "objectstore": [8333],
    }
    assert {p["host_ip"] for found in ports.values() for p in found} == {"127.0.0.1"}


def test_the_proxy_reaches_the_api_alone(services: dict[str, Service]) -> None:
    others = set(services) - {"proxy"}
    assert {name for name in others if shared_networks(services, "proxy", name)} == {"api"}


def test_the_api_believes_what_its_proxy_says_of_clients_and_nobody_else(
    project: dict[str, Any], services: dict[str, Service]
) -> None:
    in_front = {name for name in services if "front" in services[name].get("networks", {})}
    assert in_front == {"proxy", "api"}
    [front] = project["networks"]["front"]["ipam"]["config"]
    [public] = project["networks"]["public"]["ipam"]["config"]
    trusted = environment(services["api"])["TRUSTED_PROXIES"].split(",")
    assert [entry for entry in trusted if entry] == [front["subnet"]]
    assert not ip_network(front["subnet"]).overlaps(ip_network(public["subnet"]))
    outer = str(next(ip_network(public["subnet"]).hosts()))
    assert f"#OUTER_PROXIES={outer}\n" in (CHECKOUT / ".env.example").read_text("utf-8")


def test_the_internal_listener_redis_and_the_database_are_on_a_network_without_a_way_out(
    project: dict[str, Any], services: dict[str, Service]
) -> None:
    inside = {name for name, network in project["networks"].items() if network.get("internal")}
    assert inside == {"front", "back"}
    for name in ("redis", "postgres", "migrate"):
        assert set(services[name]["networks"]) == {"back"}
    assert set(services["api"]["networks"]) == {"front", "back"}
    assert shared_networks(services, "api", "worker") == {"back"}
    assert command(services["api"]["command"]) == ["python", "bind_internal.py"]
    assert "INTERNAL_HOST" not in services["api"]["environment"]
    internal_port = environment(services["api"])["INTERNAL_PORT"]
    name = environment(services["api"])["INTERNAL_NAME"]
    assert environment(services["worker"])["INTERNAL_URL"] == f"http://{name}:{internal_port}"
    aliases = {
        (service, network, alias)
        for service, each in services.items()
        for network, options in (each.get("networks") or {}).items()
        for alias in (options or {}).get("aliases", [])
    }
    assert aliases == {("api", "back", name)}, "a name of the apis alone, and in no other network"
    assert name not in services


# --- starting, stopping, scaling


def test_services_start_in_an_order_in_which_they_find_what_they_need(
    services: dict[str, Service],
) -> None:
    done, well = "service_completed_successfully", "service_healthy"
    begun = "service_started"  # Redis is waited for by those who need it
    conditions = {
        name: {other: each["condition"] for other, each in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert conditions["migrate"] == {"postgres": well}
    assert conditions["api"] == {"migrate": done, "postgres": well, "redis": begun}
    assert conditions["worker"] == {"api": well, "redis": begun, "bucket": done}
    assert conditions["proxy"] == {"api": well}
    assert conditions["bucket"] == {"objectstore": well}
    waited_for = {o for each in conditions.values() for o, c in each.items() if c == well}
    assert all("test" in services[name]["healthcheck"] for name in waited_for)


def test_what_starts_waits_for_an_api_that_lives_and_not_for_one_that_takes_uploads(
    services: dict[str, Service],
) -> None:
    """A full volume drains only when workers start."""
    for name in ("api", "proxy"):
        checked = " ".join(command(services[name]["healthcheck"]["test"]))
        assert "/healthz" in checked
        assert "/readyz" not in checked


def test_what_runs_once_is_not_started_again_and_what_serves_is(
    services: dict[str, Service],
) -> None:
    restarts = {name: service["restart"] for name, service in services.items()}
    once = {name for name, policy in restarts.items() if policy == "no"}
    assert once == {"migrate", "bucket"}
    assert set(restarts.values()) == {"no", "unless-stopped"}


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_stop_waits_longer_than_the_service_takes(
    service: str, services: dict[str, Service]
) -> None:
    grace = seconds(services[service]["stop_grace_period"])
    assert grace >= int(environment(services[service])["SHUTDOWN_SECONDS"]) + 5


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_service_can_be_scaled(service: str, services: dict[str, Service]) -> None:
    assert "container_name" not in services[service]
    assert "ports" not in services[service]
    assert not any((n or {}).get("ipv4_address") for n in services[service]["networks"].values())


def test_the_scratch_has_a_gibibyte_for_every_decoder_and_the_limit_leaves_memory_beside_it(
    services: dict[str, Service],
) -> None:
    worker = services["worker"]
    (scratch,) = [t for t in worker["tmpfs"] if t.startswith("/scratch:")]
    assert environment(worker)["SCRATCH_DIR"] == "/scratch"
    size = int(re.search(r"size=(\d+)m", scratch)[1]) * 1024**2  # type: ignore[index] # fails as it should
    decoders = int(environment(worker)["MAX_DECODERS"])
    assert size >= decoders * GIB
    # a WebP of 100 megapixels takes 0.75 GiB; half of one is for the worker, its /tmp and LibreOffice
    assert (
        int(worker["deploy"]["resources"]["limits"]["memory"]) >= size + decoders * GIB + GIB // 2
    )
    assert f"uid={worker['user'].split(':')[0]}" in scratch


def test_the_proxy_lets_through_the_largest_file_of_every_form() -> None:
    config = (CHECKOUT / "deploy/proxy/nginx.conf").read_text("utf-8")
    limit = int(re.search(r"client_max_body_size (\d+)g;", config)[1]) * GIB  # type: ignore[index] # as above
    for path in (CHECKOUT / "forms").glob("*.toml"):
        form = tomllib.loads(path.read_text("utf-8"))
        fields = [f for section in form["sections"] for f in section["fields"]]
        assert sum(f.get("max_bytes", 0) * f.get("max_files", 1) for f in fields) < limit


def test_the_scanner_looks_at_the_largest_file_of_every_form_and_says_so_when_it_does_not() -> None:
    lines = (CHECKOUT / "deploy/clamd/clamd.conf").read_text("utf-8").splitlines()
    given = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    largest = max(
        field.max_bytes
        for form_type in load_form_types(CHECKOUT / "forms").values()
        for field in form_type.file_fields.values()
    )
    limits = [int(given[name].rstrip("M")) * 1024**2 for name in ("MaxFileSize", "StreamMaxLength")]
    assert largest <= limits[0] <= limits[1]
    assert given["LocalSocket"] == "/tmp/clamd.sock", "without which its image ends"
    assert given["AlertExceedsMax"] == "yes"
    assert given["AlertEncrypted"] == "yes"


def test_the_scanner_runs_only_when_it_is_asked_for(services: dict[str, Service]) -> None:
    assert {name for name, each in services.items() if each.get("profiles")} == {"clamd"}


def test_the_proxy_is_more_patient_than_the_api(services: dict[str, Service]) -> None:
    config = (CHECKOUT / "deploy/proxy/nginx.conf").read_text("utf-8")
    patience = {n: int(s) for n, s in re.findall(r"(\w+_timeout) (\d+)s;", config)}
    idle = ApiSettings.model_fields["receive_idle_seconds"].default
    assert patience["client_body_timeout"] > idle
    assert patience["proxy_read_timeout"] > idle
    assert "RECEIVE_IDLE_SECONDS" not in environment(services["api"])


def test_a_worker_is_healthy_while_its_file_is_fresh(
    services: dict[str, Service], tmp_path: Path
) -> None:
    words = command(services["worker"]["healthcheck"]["test"])
    fresh = tmp_path / "health"
    states = []
    for age in (None, 0, 600):
        if age is not None:
            fresh.touch()
            subprocess.run(["touch", "-d", f"-{age} seconds", fresh], check=True)
        env = {"PATH": "/usr/bin:/bin", "HEALTH_FILE": str(fresh)}
        states.append(subprocess.run(words, env=env, capture_output=True, check=False).returncode)
    assert states == [1, 0, 1]


def test_a_start_waits_for_no_slow_look_at_the_health(services: dict[str, Service]) -> None:
    for name, service in services.items():
        if "healthcheck" in service:
            assert seconds(service["healthcheck"]["start_interval"]) <= 5, name


def test_what_the_proxy_answers_itself_is_worded_as_the_api_does() -> None:
    config = (CHECKOUT / "deploy/proxy/nginx.conf").read_text("utf-8")
    worded = re.findall(r"^ +(?:\d+|default) '(\{\"type.+\})';$", config, re.MULTILINE)
    problems = [json.loads(each.replace("\\'", "'")) for each in worded]
    assert {each["code"] for each in problems} >= {"unavailable", "request-too-large"}
    (limit,) = re.findall(r"client_max_body_size (\d+)g;", config)
    for each in problems:
        spec = ERRORS[each["code"]]
        params = each.get("params", {})
        assert {
            "type": f"{GUIDE}#{each['code']}",
            "title": spec.title,
            "status": spec.status,
        }.items() <= each.items()
        assert each["detail"] == spec.detail.format(**params)
        assert each["retryable"] == spec.retryable
        assert ("request_id" in each) == (spec.status >= 500)
        if spec.status == 413:
            assert params == {"max_bytes": int(limit) * GIB}


# --- the images


def test_a_release_has_one_version(project: dict[str, Any]) -> None:
    written = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert project["name"] == "longshore"
    assert written == VERSION
    for path in DOCKERFILES.values():
        (label,) = [arguments for kind, arguments in instructions(path) if kind == "LABEL"]
        assert f'org.opencontainers.image.version="{VERSION}"' in label


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path of the checkout from the build; the last rule wins."""
    verdict = False
    for line in (CHECKOUT / ".dockerignore").read_text("utf-8").splitlines():
        rule = line.strip().removeprefix("!")
        if not rule or rule.startswith("#"):
            continue
        name = rule.removeprefix("**/")
        if name != rule:
            hit = any(fnmatch(part, name) for part in path.split("/"))
        else:
            hit = rule in {"*", path} or path.startswith(f"{rule}/")
        if hit:
            verdict = not line.startswith("!")
    return verdict


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_holds_its_own_package_and_what_both_share(name: str) -> None:
    sources = {
        source
        for kind, arguments in instructions(DOCKERFILES[name])
        if kind == "COPY" and copied(arguments)[0] is None
        for source in copied(arguments)[1]
    }
    own = {"api": {"browser", "forms", "deploy/bind_internal.py"}, "worker": set[str]()}[name]
    assert sources == {name, "shared", f"requirements/{name}.txt"} | own
    assert all((CHECKOUT / source).exists() for source in sources)
    assert not any(ignored(source) for source in sources)


def test_the_build_sees_nothing_else_of_the_checkout() -> None:
    seen = {path.name for path in CHECKOUT.iterdir() if not ignored(path.name)}
    assert seen == {"api", "browser", "worker", "shared", "forms"}
    assert ignored("api/__pycache__/app.cpython-313.pyc")
    assert ignored(".env")
    assert ignored(".git")
    assert ignored("requirements/dev.txt")
    assert not ignored("requirements/api.txt")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_starts_its_service_as_a_fixed_user_and_without_a_shell(name: str) -> None:
    found = instructions(DOCKERFILES[name])
    assert [arguments for kind, arguments in found if kind == "USER"] == ["10001:10001"]
    (start,) = [json.loads(arguments) for kind, arguments in found if kind == "CMD"]
    assert start == ["python", "-m", name]
    assert importlib.util.find_spec(f"{name}.__main__")
    assert "ENTRYPOINT" not in {kind for kind, _ in found}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_installed_is_held_to_the_hashes_of_the_lock(name: str) -> None:
    (install,) = [
        a for k, a in instructions(DOCKERFILES[name]) if k == "RUN" and "pip --python" in a
    ]
    assert "--require-hashes" in install
    assert f"-r requirements/{name}.txt" in install


def test_commands_and_files_that_compose_names_exist(
    project: dict[str, Any], services: dict[str, Service]
) -> None:
    for config in project["configs"].values():
        assert Path(config["file"]).is_file()
    for service in services.values():
        if "build" in service:
            assert (Path(service["build"]["context"]) / service["build"]["dockerfile"]).is_file()
        for used in service.get("configs", []):
            assert used["source"] in project["configs"]
    migrate = command(services["migrate"]["command"])
    assert migrate[:2] == ["python", "-m"]
    assert importlib.util.find_spec(migrate[2])


# --- the api's way to its internal address


def bound(**env: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher beside an `api` that says where it was told to listen."""
    return subprocess.run(
        [sys.executable, CHECKOUT / "deploy/bind_internal.py"],
        env={"PYTHONPATH": env.pop("stub", ""), **env},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def stub(tmp_path: Path) -> str:
    (tmp_path / "api").mkdir()
    (tmp_path / "api/__init__.py").touch()
    (tmp_path / "api/__main__.py").write_text(
        "import os; print(os.environ['INTERNAL_HOST'], os.getpid())"
    )
    return str(tmp_path)


def launcher(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> ModuleType:
    """The launcher's module, with a name that has these addresses."""
    path = CHECKOUT / "deploy/bind_internal.py"
    spec = importlib.util.spec_from_file_location("bind_internal", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    look_up = socket.getaddrinfo

    def found(name: str, port: int, **how: Any) -> list[Any]:
        assert name == "internal"
        if not addresses:
            raise socket.gaierror("no such name")
        return [each for address in addresses for each in look_up(address, port, **how)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    return module


def test_the_internal_listener_gets_the_address_of_its_own_name(stub: str) -> None:
    started = bound(stub=stub, INTERNAL_NAME="127.0.0.1")
    assert started.stdout.split()[0] == "127.0.0.1", started.stderr


def test_an_internal_address_that_is_given_is_kept(stub: str) -> None:
    started = bound(stub=stub, INTERNAL_HOST="127.0.0.9")
    assert started.stdout.split()[0] == "127.0.0.9", started.stderr


def test_of_the_addresses_of_all_replicas_it_takes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = launcher(monkeypatch, "198.51.100.1", "198.51.100.2", "127.0.0.1")
    assert module.environment({"INTERNAL_NAME": "internal"}, 0)["INTERNAL_HOST"] == "127.0.0.1"


@pytest.mark.parametrize("addresses", [(), ("198.51.100.1",)])
def test_without_an_address_of_its_own_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    module = launcher(monkeypatch, *addresses)
    with pytest.raises(OSError, match=r"no such name|is ours"):
        module.environment({"INTERNAL_NAME": "internal"}, 0)


def test_it_needs_no_redis_and_says_what_it_does_need(stub: str) -> None:
    started = bound(stub=stub, REDIS_URL="redis://127.0.0.1")
    assert started.returncode == 1
    assert started.stderr.startswith("api: INTERNAL_NAME: ")
    assert started.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "told", [{"INTERNAL_NAME": "10.2.0.2"}, {"INTERNAL_NETWORK": "10.2.0.0/24"}]
)
def test_of_two_networks_the_internal_listener_takes_the_one_that_is_named(
    stub: str, told: dict[str, str]
) -> None:
    in_two_networks = "ip address add 10.1.0.2/24 dev lo && ip address add 10.2.0.2/24 dev lo && ip link set lo up"
    namespace = ["unshare", "--net", "/bin/sh", "-c"]
    if subprocess.run([*namespace, in_two_networks], capture_output=True, check=False).returncode:
        pytest.skip("no network of its own can be made here")
    launch = f'{in_two_networks} && exec "{sys.executable}" "{CHECKOUT}/deploy/bind_internal.py"'
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": stub, **told}
    started = subprocess.run(
        [*namespace, launch], env=env, cwd="/", capture_output=True, text=True, check=False
    )
    assert started.stdout.split()[0] == "10.2.0.2", started.stderr


@pytest.mark.parametrize("network", ["203.0.113.0/24", "10.231.79.1/24"])
def test_a_network_that_it_is_not_in_is_refused(network: str, stub: str) -> None:
    """The second is none: an address with the length of a network."""
    started = bound(stub=stub, INTERNAL_NETWORK=network)
    assert started.returncode == 1
    assert started.stderr.startswith("api: INTERNAL_NETWORK: ")
    assert started.stderr.count("\n") == 1
