"""The manifests follow Kubernetes' schemas, and say of each service what compose.yaml says."""

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings.settings import Settings as ApiSettings
from dev import environments
from tests.support.compose import CHECKOUT, Service, command, composed, environment
from tests.support.kustomize import (
    OVERLAYS,
    Object,
    by_kustomize,
    containers,
    copied,
    references,
    render,
)
from worker.settings import Settings as WorkerSettings

VERSIONS = ("1.30", "1.37")
"""Of Kubernetes: the first that knows `sleep` before a stop, and the last that has schemas."""
SERVICES = ("api", "worker", "migrate")
STAGING = "/var/lib/longshore/staging"
UNITS = {"Mi": 1024**2, "Gi": 1024**3, "m": 1024**2}
OTHERWISE = {"api": {"INTERNAL_NAME": "INTERNAL_HOST"}, "worker": {}, "migrate": {}}
"""Variables of Compose → what stands in their place: a pod has one address, and knows it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("manifests"))


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest, folder: Path) -> list[Object]:
    return render(folder / "overlays" / request.param)


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    found: dict[str, Service] = composed()["services"]
    return found


def one(objects: list[Object], kind: str, name: str) -> Object:
    [found] = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def pod(objects: list[Object], name: str) -> Object:
    """The spec of a service's pods."""
    kind = "Job" if name == "migrate" else "Deployment"
    spec: Object = one(objects, kind, name)["spec"]["template"]["spec"]
    return spec


def container(objects: list[Object], name: str) -> Object:
    [found] = pod(objects, name)["containers"]
    assert isinstance(found, dict)
    return found


def told(objects: list[Object], name: str) -> dict[str, str]:
    """The environment of a service's container; what is only known when it runs is ``."""
    found: dict[str, str] = {}
    of = container(objects, name)
    for source in of.get("envFrom", []):
        found |= data_of(objects, source)
    for each in of.get("env", []):
        secret = each.get("valueFrom", {}).get("secretKeyRef")
        taken = data_of(objects, {"secretRef": secret})[secret["key"]] if secret else ""
        found[each["name"]] = each.get("value", taken)
    return found


def data_of(objects: list[Object], source: Object) -> dict[str, str]:
    if "configMapRef" in source:
        data: dict[str, str] = one(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
        return data
    secret = one(objects, "Secret", source["secretRef"]["name"])["data"]
    return {name: base64.b64decode(value).decode() for name, value in secret.items()}


def in_bytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", quantity).groups()  # type: ignore[union-attr] # fails as it should
    return int(number) * UNITS[unit]


def in_seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


# --- the files themselves


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_follows_its_schema(folder: Path, version: str) -> None:
    environments.ensure("kubernetes")
    for overlay in OVERLAYS:
        file = folder / f"{overlay}.yaml"
        file.write_text(yaml.safe_dump_all(render(folder / "overlays" / overlay)))
        judged = subprocess.run(
            [
                *(environments.python("kubernetes"), "-m", "kubernetes_validate"),
                *("--strict", "--kubernetes-version", version, file),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert judged.returncode == 0, judged.stdout + judged.stderr
        assert "ERROR" not in judged.stdout


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_makes_the_same_of_an_overlay_as_these_tests(folder: Path, overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl isn't installed")
    path = folder / "overlays" / overlay
    assert in_order(by_kustomize(path, kubectl)) == in_order(render(path))


def in_order(objects: list[Object]) -> list[Object]:
    return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))


def test_what_a_container_is_told_is_there(objects: list[Object]) -> None:
    named = {(o["kind"], o["metadata"]["name"]) for o in objects}
    for each in objects:
        for reference in references(each):
            assert {("ConfigMap", reference["name"]), ("Secret", reference["name"])} & named


def test_no_secret_is_in_the_repository_and_those_of_the_example_are_refused(
    objects: list[Object],
) -> None:
    secrets = [
        value
        for each in ("api", "worker")
        for name, value in data_of(objects, {"secretRef": {"name": each}}).items()
        if re.search("SECRET|URL", name)
    ]
    assert all("change-me" in value for value in secrets)
    assert "secrets.*.env\n" in (CHECKOUT / ".gitignore").read_text("utf-8")
    for each in ("api", "worker"):
        settings = one(objects, "ConfigMap", each)["data"]
        assert not [name for name in settings if re.search("SECRET|PASSWORD|_KEY|API_KEYS", name)]


# --- as compose.yaml has it


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_told_what_compose_tells_it(
    service: str, objects: list[Object], services: dict[str, Service]
) -> None:
    given = told(objects, service)
    in_compose = environment(services[service])
    expected = {OTHERWISE[service].get(name, name) for name in in_compose}
    may_be_told = {OTHERWISE[service].get(name, name) for name in services[service]["environment"]}
    assert expected <= set(given), "what Compose always tells it: *.env of deploy/kubernetes"
    assert set(given) <= may_be_told, "and nothing that Compose doesn't know"
    literal = [
        *("LOG_FORMAT", "HOST", "PORT", "INTERNAL_PORT", "STAGING_DIR", "FORMS_DIR"),
        *("SHUTDOWN_SECONDS", "SCRATCH_DIR", "INTERNAL_URL", "HEALTH_FILE", "MAX_DECODERS"),
    ]
    for name in set(literal) & set(given):
        assert given[name] == in_compose[name], name


@pytest.mark.parametrize(
    ("service", "settings"), [("api", ApiSettings), ("worker", WorkerSettings)]
)
def test_a_service_starts_with_what_it_is_told(
    service: str, settings: Any, objects: list[Object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for field in settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for name, value in told(objects, service).items():
        monkeypatch.setenv(name, value.replace("change-me", "f00d-f00d") or "10.1.2.3")
    settings()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_as_the_same_user_and_may_do_as_little(
    service: str, objects: list[Object], services: dict[str, Service]
) -> None:
    of_pod, of_container = (
        pod(objects, service)["securityContext"],
        container(objects, service)["securityContext"],
    )
    in_compose = services[service]
    assert f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}" == in_compose["user"]
    assert of_pod["runAsNonRoot"] is True
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert of_container["readOnlyRootFilesystem"] is in_compose["read_only"]
    assert of_container["capabilities"]["drop"] == in_compose["cap_drop"]
    assert "no-new-privileges:true" in in_compose["security_opt"]
    assert of_container["allowPrivilegeEscalation"] is False
    assert pod(objects, service)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_same_mounts_and_memory(
    service: str, objects: list[Object], services: dict[str, Service]
) -> None:
    volumes = {each["name"]: each for each in pod(objects, service).get("volumes", [])}
    mounts = container(objects, service)["volumeMounts"]
    memory = {
        each["mountPath"]: in_bytes(volumes[each["name"]]["emptyDir"]["sizeLimit"])
        for each in mounts
        if "emptyDir" in volumes[each["name"]]
    }
    in_compose = services[service]
    sizes = [re.match(r"([^:]+):size=(\d+m)", each) for each in in_compose["tmpfs"]]
    assert memory == {each[1]: in_bytes(each[2]) for each in sizes if each}
    assert {volumes[n]["emptyDir"]["medium"] for n in volumes if "emptyDir" in volumes[n]} == {
        "Memory"
    }
    kept = {
        (each["mountPath"], each.get("readOnly", False))
        for each in mounts
        if "persistentVolumeClaim" in volumes[each["name"]]
    }
    assert kept == {
        (each["target"], each.get("read_only", False)) for each in in_compose.get("volumes", [])
    }
    limit = container(objects, service)["resources"]["limits"]["memory"]
    assert in_bytes(limit) == int(in_compose["deploy"]["resources"]["limits"]["memory"])


def test_the_staging_volume_is_one_for_apis_and_workers(objects: list[Object]) -> None:
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for service in ("api", "worker")
        for volume in pod(objects, service)["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {one(objects, "PersistentVolumeClaim", "staging")["metadata"]["name"]}


def test_several_nodes_share_the_volume(folder: Path) -> None:
    claim = one(render(folder / "overlays/production"), "PersistentVolumeClaim", "staging")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_api_listens_where_compose_has_it(objects: list[Object]) -> None:
    ports = {each["name"]: each["containerPort"] for each in container(objects, "api")["ports"]}
    given = told(objects, "api")
    assert ports == {"public": int(given["PORT"]), "internal": int(given["INTERNAL_PORT"])}
    public, internal = one(objects, "Service", "api"), one(objects, "Service", "internal")
    assert [each["targetPort"] for each in public["spec"]["ports"]] == ["public"]
    [port] = internal["spec"]["ports"]
    assert told(objects, "worker")["INTERNAL_URL"] == f"http://internal:{port['port']}"
    assert internal["spec"]["clusterIP"] == "None", "every api is an address of its name"
    assert internal["spec"]["publishNotReadyAddresses"] is True
    labels = one(objects, "Deployment", "api")["spec"]["template"]["metadata"]["labels"]
    for service in (public, internal):
        assert service["spec"]["selector"].items() <= labels.items()


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_service_is_asked_the_same_as_often_and_as_patiently(
    service: str, objects: list[Object], services: dict[str, Service]
) -> None:
    check = services[service]["healthcheck"]
    of = container(objects, service)
    probe = of["readinessProbe"]
    assert probe["periodSeconds"] == in_seconds(check["interval"])
    assert probe["timeoutSeconds"] == in_seconds(check["timeout"])
    asked = command(check["test"])
    if service == "worker":
        assert probe["exec"]["command"] == asked
        assert not {"livenessProbe", "startupProbe"} & set(of), "nobody restarts what waits"
        return
    assert of["livenessProbe"] == probe
    begin = of["startupProbe"]
    assert begin["periodSeconds"] * begin["failureThreshold"] >= in_seconds(check["start_period"])
    for each in (probe, begin):
        assert each["httpGet"]["port"] == "public"
        assert f":{told(objects, 'api')['PORT']}{each['httpGet']['path']}" in " ".join(asked)


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_stop_waits_longer_than_the_service_takes(
    service: str, objects: list[Object], services: dict[str, Service]
) -> None:
    spec = pod(objects, service)
    before = container(objects, service).get("lifecycle", {}).get("preStop", {})
    slept = before.get("sleep", {}).get("seconds", 0)
    grace = in_seconds(services[service]["stop_grace_period"])
    assert spec["terminationGracePeriodSeconds"] == grace + slept
    assert spec["shareProcessNamespace"] is services[service]["init"]


def test_the_commands_are_those_of_the_images_and_of_compose(
    objects: list[Object], services: dict[str, Service]
) -> None:
    for service in ("api", "worker"):
        assert container(objects, service)["command"] == ["python", "-m", service]
        dockerfile = (CHECKOUT / f"deploy/Dockerfile.{service}").read_text("utf-8")
        assert f'CMD ["python", "-m", "{service}"]' in dockerfile
    assert container(objects, "migrate")["command"] == command(services["migrate"]["command"])


# --- the network


def allowed(objects: list[Object], direction: str, name: str) -> Iterator[tuple[Object, set[Any]]]:
    """Peers and ports that a policy allows its pods."""
    policy = one(objects, "NetworkPolicy", name)["spec"]
    for rule in policy.get(direction, []):
        ports = {each["port"] for each in rule["ports"]}
        for peer in rule.get("from", rule.get("to", [{}])):
            yield peer, ports


def test_nobody_reaches_anybody_but_as_compose_has_it(objects: list[Object]) -> None:
    nobody = one(objects, "NetworkPolicy", "nobody")["spec"]
    assert nobody["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(nobody)
    part = nobody["podSelector"]["matchLabels"].items()
    for each in objects:
        if each["kind"] in {"Deployment", "Job"}:
            assert part <= each["spec"]["template"]["metadata"]["labels"].items()
    worker = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "worker"}}}
    reached = [(peer, ports) for peer, ports in allowed(objects, "ingress", "api")]
    assert [ports for peer, ports in reached if peer == worker] == [{"internal"}]
    public = [peer for peer, ports in reached if "public" in ports]
    assert len(public) == 1
    assert "namespaceSelector" in public[0], "the proxy alone, whom the api believes"
    policies = {each["metadata"]["name"] for each in objects if each["kind"] == "NetworkPolicy"}
    taking = {name for name in policies if list(allowed(objects, "ingress", name))}
    assert taking == {"api"}, "nobody reaches a worker"


def test_who_has_no_business_with_the_database_has_no_way_there(objects: list[Object]) -> None:
    ways = {
        service: {port for _, ports in allowed(objects, "egress", service) for port in ports}
        for service in SERVICES
    }
    assert ways == {"api": {5432, 6379}, "migrate": {5432}, "worker": {"internal", 6379, 443}}


def test_the_ingress_is_made_for_uploads_as_the_proxy_is(objects: list[Object]) -> None:
    config = (CHECKOUT / "deploy/proxy/nginx.conf").read_text("utf-8")
    ingress = one(objects, "Ingress", "api")
    said = {
        name.partition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()
    }
    names = {"proxy-body-size": "client_max_body_size"}
    for name, value in said.items():
        directive = names.get(name, name.replace("-", "_"))
        [in_proxy] = re.findall(rf"^ *{directive} (.+);$", config, re.MULTILINE)
        assert in_proxy.removesuffix("s") == value, name
    assert set(said) >= {"proxy-request-buffering", "proxy-buffering", "proxy-read-timeout"}


# --- more than one


def test_workers_are_as_many_as_the_age_of_the_queue_wants(folder: Path) -> None:
    objects = render(folder / "overlays/production")
    scaler = one(objects, "HorizontalPodAutoscaler", "worker")["spec"]
    assert scaler["scaleTargetRef"]["name"] == "worker"
    assert "replicas" not in one(objects, "Deployment", "worker")["spec"]
    [metric] = scaler["metrics"]
    name = metric["external"]["metric"]["name"]
    observability = CHECKOUT / "deploy/observability"
    [handed_on] = yaml.safe_load((observability / "adapter.yaml").read_text("utf-8"))[
        "externalRules"
    ]
    assert handed_on["name"]["as"] == name
    recorded = re.findall(r"record: (\S+)", (observability / "alerts.yaml").read_text("utf-8"))
    assert recorded == [handed_on["seriesQuery"]]


def test_a_drained_node_leaves_an_api_and_takes_one_worker_at_a_time(folder: Path) -> None:
    objects = render(folder / "overlays/production")
    assert one(objects, "PodDisruptionBudget", "api")["spec"]["minAvailable"] == 1
    assert one(objects, "PodDisruptionBudget", "worker")["spec"]["maxUnavailable"] == 1
    assert one(objects, "Deployment", "api")["spec"]["replicas"] > 1
    for name in ("api", "worker"):
        selector = one(objects, "PodDisruptionBudget", name)["spec"]["selector"]
        assert selector == one(objects, "Deployment", name)["spec"]["selector"]


def test_every_container_says_what_it_needs(objects: list[Object]) -> None:
    for each in objects:
        for of in containers(each):
            assert set(of["resources"]["requests"]) == {"cpu", "memory"}
