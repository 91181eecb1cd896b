"""What kustomize makes of an overlay: the few of its features that ours use, and the real one."""

import base64
import copy
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.stack import CHECKOUT

ROOT = CHECKOUT / "deploy/kubernetes"
OVERLAYS = ("production", "single-node")
Object = dict[str, Any]
KEYS = {
    *("apiVersion", "kind", "resources", "namespace", "images", "replicas", "patches"),
    *("configMapGenerator", "secretGenerator"),
}
"""Of a kustomization, as far as `render` knows them."""
HASH = re.compile(r"-[0-9a-z]{10}$")


def copied(folder: Path) -> Path:
    """A copy of all manifests, with the examples' secrets in place."""
    copy = shutil.copytree(ROOT, folder / "kubernetes")
    for example in copy.rglob("*.example"):
        shutil.copy(example, example.with_suffix(""))
    return copy


def render(folder: Path) -> list[Object]:
    """All objects of a kustomization. A generated name has no hash behind it here."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    assert set(kustomization) <= KEYS, "teach tests/support/kustomize.py"
    objects: list[Object] = []
    for resource in kustomization["resources"]:
        path = folder / resource
        objects += render(path) if path.is_dir() else yaml.safe_load_all(path.read_text("utf-8"))
    for kind, generator in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for each in kustomization.get(generator, []):
            _generate(objects, kind, each, folder)
    for patch in kustomization.get("patches", []):
        _patch(objects, patch)
    for each in objects:
        _set_images(each, kustomization.get("images", []))
        for replicas in kustomization.get("replicas", []):
            if (each["kind"], each["metadata"]["name"]) == ("Deployment", replicas["name"]):
                each["spec"]["replicas"] = replicas["count"]
        if "namespace" in kustomization:
            each["metadata"]["namespace"] = kustomization["namespace"]
    return objects


def by_kustomize(folder: Path, kubectl: str) -> list[Object]:
    """The same by the real one, without the hashes."""
    ran = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    objects = list(yaml.safe_load_all(ran.stdout))
    for each in objects:
        if each["kind"] in {"ConfigMap", "Secret"}:
            each["metadata"]["name"] = HASH.sub("", each["metadata"]["name"])
            each["data"] = {
                name: "".join(value.split()) if each["kind"] == "Secret" else value
                for name, value in each["data"].items()  # it folds long ones
            }
        for reference in references(each):
            reference["name"] = HASH.sub("", reference["name"])
    return objects


def references(of: Object) -> list[Object]:
    """Where its containers name a config map or a secret."""
    return [
        reference
        for container in containers(of)
        for source in (
            *container.get("envFrom", []),
            *(each.get("valueFrom", {}) for each in container.get("env", [])),
        )
        for kind, reference in source.items()
        if kind in {"configMapRef", "secretRef", "secretKeyRef"}
    ]


def containers(of: Object) -> list[Object]:
    template = of.get("spec", {}).get("template", {})
    found: list[Object] = template.get("spec", {}).get("containers", [])
    return found


def env_file(path: Path) -> dict[str, str]:
    lines = path.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _generate(objects: list[Object], kind: str, generator: Object, folder: Path) -> None:
    assert set(generator) <= {"name", "behavior", "envs"}
    data = {name: v for file in generator["envs"] for name, v in env_file(folder / file).items()}
    if kind == "Secret":
        data = {name: base64.b64encode(v.encode()).decode() for name, v in data.items()}
    if generator.get("behavior") == "merge":
        [known] = [each for each in objects if _is(each, kind, generator["name"])]
        known["data"].update(data)
        return
    made = {"apiVersion": "v1", "kind": kind, "metadata": {"name": generator["name"]}, "data": data}
    objects.append(made | ({"type": "Opaque"} if kind == "Secret" else {}))


def _patch(objects: list[Object], patch: Object) -> None:
    target = patch["target"]
    [found] = [each for each in objects if _is(each, target["kind"], target["name"])]
    change = yaml.safe_load(patch["patch"])
    if isinstance(change, dict):
        assert change["$patch"] == "delete"
        objects.remove(found)
        return
    for step in change:
        assert step["op"] in {"add", "replace"}
        *way, last = [int(key) if key.isdigit() else key for key in step["path"].split("/")[1:]]
        place: Any = found
        for key in way:
            place = place[key]
        place[last] = copy.deepcopy(step["value"])


def _is(each: Object, kind: str, name: str) -> bool:
    return (each["kind"], each["metadata"]["name"]) == (kind, name)


def _set_images(of: Object, images: list[Object]) -> None:
    for container in containers(of):
        for image in images:
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
