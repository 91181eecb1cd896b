"""`browser/` as a package: small, typed, and nothing in it that doesn't belong there."""

import gzip
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.packages import installed, run_tool
from tests.support.stack import CHECKOUT

PACKAGE = CHECKOUT / "browser"
MODULE = (PACKAGE / "longshore.js").read_text("utf-8")
MAX_BYTES = 8_000

CONSUMER = """
import {
  checkFile, configure, createUpload, uploads, watch,
  type FormRecord, type LongshoreFileElement, type Policy, type Problem, type Upload,
} from 'longshore';

configure({ headers: async (url: string) => ({ Authorization: url }), texts: { de: { choose: 'Datei' } } });
configure({ transports: { mine: async (_file, { signal, onProgress }) => {
  signal.throwIfAborted();
  onProgress(1);
  throw new Error('none');
} } });

export async function send(file: File, policy: Policy, url: string): Promise<string | null> {
  const problem: Problem | null = await checkFile(file, policy);
  if (problem) return problem.detail;
  const upload: Upload = createUpload(file, { url, field: 'licence' });
  upload.addEventListener('progress', () => console.log(upload.loaded / upload.size));
  const { status, record } = await upload.finished;
  return status === 'stored' ? record?.public_url ?? null : null;
}

export async function follow(url: string, signal: AbortSignal): Promise<void> {
  for await (const form of watch<FormRecord>(url, { signal })) console.log(form.uploads.licence?.length);
  for await (const upload of watch(url)) console.log(upload.status);
}

const element: LongshoreFileElement = document.createElement('longshore-file');
element.addEventListener('longshore-select', (event) => {
  event.detail.waitUntil(Promise.resolve('/v1/forms/frm_x'));
});
element.addEventListener('longshore-reject', ({ detail }) => console.log(detail.problem.code, detail.upload.name));
element.pause();
element.remove(element.value[0]);
uploads.open('/v1/forms/frm_x');
console.log(uploads.list().map((each) => each.form.url));
// @ts-expect-error a field is needed
createUpload(new File([], 'x'), { url: '' });
"""


@pytest.fixture
def manifest() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    return read


def test_the_module_is_small(tmp_path: Path) -> None:
    out = tmp_path / "min.js"
    words = ["--minify", "--format=esm", f"--outfile={out}", "--log-level=warning"]
    run_tool("esbuild", str(PACKAGE / "longshore.js"), *words, cwd=tmp_path)
    assert len(gzip.compress(out.read_bytes(), 9, mtime=0)) <= MAX_BYTES


def test_the_module_and_who_uses_it_agree_with_the_types(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "longshore")
    (tmp_path / "consumer.ts").write_text(CONSUMER)
    options: dict[str, Any] = {
        "strict": True,
        "noEmit": True,
        "allowJs": True,
        "checkJs": True,
        "allowImportingTsExtensions": True,
        "target": "es2023",
        "module": "esnext",
        "moduleResolution": "bundler",
        "lib": ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
        "types": [],
    }
    options["paths"] = {"longshore": ["./longshore/longshore.d.ts"]}
    project = {"compilerOptions": options, "files": ["longshore/longshore.js", "consumer.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    run_tool("tsc", "--project", "tsconfig.json", cwd=tmp_path)


def test_the_types_declare_what_the_module_exports_and_nothing_else() -> None:
    exported = set(
        re.findall(r"^export (?:async )?(?:function\*?|const) (\w+)", MODULE, re.MULTILINE)
    )
    assert "watch" in exported
    types = (PACKAGE / "longshore.d.ts").read_text("utf-8")
    assert exported == set(re.findall(r"^export (?:function|const) (\w+)", types, re.MULTILINE))


def test_a_server_that_renders_pages_may_import_it() -> None:
    installed()  # where there are packages, there is node
    script = "import(process.argv[1]).then(({ watch }) => process.exit(watch ? 0 : 1))"
    subprocess.run(["node", "-e", script, str(PACKAGE / "longshore.js")], check=True)


def test_the_packed_package_is_clean(tmp_path: Path) -> None:
    installed()
    words = ["npm", "pack", str(PACKAGE), "--json", "--dry-run", "--offline"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    read = json.loads(done.stdout)  # a list, or by name, as npm is old or new
    (packed,) = read.values() if isinstance(read, dict) else read
    assert sorted(each["path"] for each in packed["files"]) == [
        "LICENSE",
        "README.md",
        "longshore-contents.js",
        "longshore-tus.js",
        "longshore.d.ts",
        "longshore.js",
        "package.json",
    ]


def test_the_package_is_the_projects_own(manifest: dict[str, Any]) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (manifest["version"], manifest["license"]) == (project["version"], project["license"])
    assert (PACKAGE / "LICENSE").read_bytes() == (CHECKOUT / "LICENSE").read_bytes()
    assert not {key for key in manifest if key.lower().endswith("dependencies")}


def test_the_readme_names_every_attribute_that_is_looked_at() -> None:
    readme = (PACKAGE / "README.md").read_text("utf-8")
    looked_at = set(re.findall(r"this\.(?:get|has)Attribute\('([\w-]+)'\)", MODULE))
    looked_at |= set(re.findall(r"element\.hasAttribute\('([\w-]+)'\)", MODULE))
    assert looked_at
    assert {each for each in looked_at if f"`{each}`" not in readme} == set()
