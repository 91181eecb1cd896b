"""What is changed, and which tests may notice."""

from pathlib import Path

MODULES = (
    *("api/receive/*.py", "api/staging/*.py", "api/records/*.py", "api/uploads/*.py"),
    *("api/forms/drafts.py", "api/forms/sections.py", "api/forms/values.py"),
    *("api/forms/completeness.py", "api/forms/closing.py"),
    *("api/upkeep/*.py", "api/outside/links.py", "api/access/*.py", "api/http/*.py"),
    *("worker/promoter.py", "worker/pipeline.py", "worker/storing.py", "worker/records_client.py"),
    *("worker/object_store/*.py", "worker/confinement/*.py", "shared/keys.py", "shared/secrets.py"),
)
"""Those that carry the promise that nothing acknowledged is lost or stuck."""

DECLARATIONS = ("api/records/tables.py",)
"""Not changed: of a schema the migrations are run, and the declaration is only read."""


def _acceptance(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/acceptance/test_{name}.py" for name in names)


TESTS = ("tests/unit", "tests/integration", "tests/contract", "tests/protocol")

OF_OTHER_THINGS = (
    *("tests/unit/test_dev_*.py", "tests/unit/test_docs.py", "tests/unit/test_compose.py"),
    *("tests/unit/test_browser_package.py", "tests/unit/test_signup_script.py"),
    *("tests/unit/test_reliability.py", "tests/unit/test_mutation*.py"),
    *("tests/integration/test_compose_parts.py", "tests/integration/test_proxy.py"),
    *("tests/protocol/test_model.py", "tests/unit/test_soak_oracle.py"),
    *("tests/unit/test_pdf.py", "tests/unit/test_image.py", "tests/unit/test_detection.py"),
    *("tests/unit/test_clamd.py", "tests/unit/test_zygote.py"),
)
"""Of the local stack, of deployment, of formats: they run none of the modules, or hardly."""

IN_PROCESSES = {
    "api/http/": (
        *("tests/integration/test_edge.py", "tests/integration/test_heads.py"),
        *_acceptance("http", "odd_clients", "errors"),
    ),
    "api/http/client_address.py": ("tests/integration/test_shares.py",),
    "api/http/connections.py": ("tests/integration/test_shares.py",),
    "api/http/public_path.py": ("tests/integration/test_public_path.py",),
    "api/receive/": (
        "tests/integration/test_bounded_parsers.py",
        *_acceptance("uploads", "odd_clients", "forms"),
    ),
    "api/records/": _acceptance("uploads", "forms", "back_end"),
    "api/records/faults.py": ("tests/integration/test_start.py", "tests/integration/test_check.py"),
    "api/uploads/": _acceptance("uploads", "idempotency", "reuse", "flags"),
    "api/uploads/idempotency.py": ("tests/integration/test_claims.py",),
    "api/uploads/quotas.py": ("tests/integration/test_quotas.py",),
    "api/forms/": _acceptance("forms", "errors", "plain_html", "back_end"),
    "api/forms/drafts.py": ("tests/integration/test_quotas.py",),
    "api/access/": _acceptance("tokens_stay_secret", "back_end", "uploads"),
    "api/access/session.py": _acceptance("another_site", "plain_html"),
    "api/http/cookie.py": _acceptance("another_site", "plain_html"),
    "api/http/origin.py": _acceptance("another_site"),
    "api/receive/sections.py": _acceptance("another_site", "plain_html"),
    "worker/": _acceptance("uploads", "flags"),
    "worker/confinement/": ("tests/unit/test_sandbox.py",),
}
"""Tests that start the product as a process, by the beginning of a module's path: no coverage
tells what they run. They come after those of which it is known, the most specific last."""


def default(root: Path) -> set[str]:
    """The paths of those modules of the promise that are in the tree."""
    found = {str(path.relative_to(root)) for pattern in MODULES for path in root.glob(pattern)}
    return found - set(DECLARATIONS)


def modules(root: Path, chosen: list[str]) -> list[str]:
    """The chosen ones, by pattern, or those of the promise. Raises `LookupError` for a pattern
    that finds none."""
    if not chosen:
        return sorted(default(root))
    found: set[str] = set()
    for pattern in chosen:
        paths = {str(path.relative_to(root)) for path in root.glob(pattern)}
        if not paths:
            raise LookupError(pattern)
        found |= paths
    return sorted(found - set(DECLARATIONS))


def test_files(root: Path) -> list[str]:
    """Those whose tests are measured, in order."""
    found = {path for folder in TESTS for path in (root / folder).rglob("test_*.py")}
    in_processes = {root / file for files in IN_PROCESSES.values() for file in files}
    found |= {path for path in in_processes if path.exists()}
    others = {path for pattern in OF_OTHER_THINGS for path in root.glob(pattern)}
    return sorted(str(path.relative_to(root)) for path in found - others)
