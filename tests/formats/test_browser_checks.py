"""What a browser says of a file before it is sent, held against what the service finds in it.

A browser may let pass what the service refuses, since the service looks at every file. It never
refuses what the service would take.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from api.views.form_types import form_type_view
from shared.form_definition import FileField, FormType, Section
from shared.formats import FORMATS
from shared.policy import ImageLimits
from tests.formats.test_honest_documents import ROWS as DOCUMENTS
from tests.formats.test_honest_images import ROWS as IMAGES
from tests.formats.test_honest_pdfs import REPAIRED, WHOLE
from tests.support.chromium import chromium
from tests.support.stack import CHECKOUT
from tests.unit.test_detection import archive
from worker.formats.detect import detect

FOREIGN = {
    "a text": b"Dear all,\n",
    "nothing but zeros": bytes(5_000),
    "a page": b"<!doctype html><title>x</title>",
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "a program": b"MZ\x90\0" + bytes(100),
    "an archive": archive(),
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(50),
    "a film": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(50),
}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        opened = browser.new_page()
        module = (CHECKOUT / "browser/longshore.js").read_text("utf-8")
        opened.route(
            "**/x.js", lambda route: route.fulfill(body=module, content_type="text/javascript")
        )
        opened.route("**/", lambda route: route.fulfill(body="<p>", content_type="text/html"))
        opened.goto("http://localhost/")
        opened.evaluate("import('/x.js').then((module) => Object.assign(window, module))")
        yield opened


def served(accept: tuple[str, ...], **rules: Any) -> dict[str, Any]:
    """The policy of a field as browsers read it."""
    field = FileField(
        name="field",
        label="Field",
        kind="file",
        section="only",
        accept=accept,
        **{"max_bytes": 10**9, **rules},
    )
    section = Section(name="only", title="Only", fields=(field,))
    form_type = FormType(type="checks", title="Checks", sections=(section,))
    view = form_type_view(form_type).model_dump(mode="json", exclude_none=True)
    return dict(view["sections"][0]["fields"][0])


def said(
    page: Page, files: dict[str, bytes], policies: list[dict[str, Any]]
) -> dict[str, list[str | None]]:
    """By file the codes of what the browser finds, one for each policy."""
    found: dict[str, list[str | None]] = page.evaluate(
        """async ([files, policies]) => {
          const found = {};
          for (const [name, content] of files) {
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt());
            const file = new File([bytes], name);
            found[name] = await Promise.all(policies.map(async (policy) => (await checkFile(file, policy))?.code ?? null));
          }
          return found;
        }""",
        [[(name, base64.b64encode(content).decode()) for name, content in files.items()], policies],
    )
    return found


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {
        **{row.name: row.build() for row in IMAGES},
        **{f"pdf {name}": content for name, (content, _) in {**WHOLE, **REPAIRED}.items()},
        **{f"document {name}": build() for name, (_, build) in DOCUMENTS.items()},
        **FOREIGN,
    }


def test_the_browser_refuses_no_type_that_the_service_takes(
    page: Page, files: dict[str, bytes], tmp_path: Path
) -> None:
    types = list(FORMATS)
    found = said(page, files, [served((each,)) for each in types])
    too_strict, too_lax, taken = [], [], 0
    for name, content in files.items():
        path = tmp_path / "file"
        path.write_bytes(content)
        detected = detect(path)
        for accepted, code in zip(types, found[name], strict=True):
            assert code in {None, "file-invalid-type"}
            taken += detected == accepted
            if detected == accepted and code:
                too_strict.append((name, accepted))
            if detected != accepted and not code:
                too_lax.append((name, accepted))
    assert taken > len(files) - len(FOREIGN) - 5
    assert too_strict == []
    unclear = [each for each in too_lax if not _begins_alike(files[each[0]], each[1])]
    assert unclear == []


def _begins_alike(content: bytes, accepted: str) -> bool:
    """Whether only a look into the file, which browsers don't take, tells it from the type."""
    if content[4:8] == b"ftyp":
        return accepted in {"image/heic", "image/avif"}
    if accepted == "application/pdf":
        return b"%PDF-" in content[:2_000]
    return (
        any(
            all(content.startswith(piece, at) for at, piece in signature)
            for signature in FORMATS[accepted].signatures
        )
        or FORMATS[accepted].kind == "document"
    )


def test_sizes_in_bytes_and_pixels_are_judged_as_the_service_does(
    page: Page, files: dict[str, bytes]
) -> None:
    upright = {name: files[name] for name in ("jpeg plain", "png RGB", "jpeg orientation 6")}
    width, height = 90, 60
    limits: list[tuple[dict[str, Any], str | None]] = [
        ({"image": ImageLimits(min_width=width, min_height=height)}, None),
        ({"image": ImageLimits(min_width=1_000)}, "image-too-small"),
        ({"image": ImageLimits(min_pixels=10**6)}, "image-too-small"),
        ({"image": ImageLimits(max_width=20, max_height=20)}, "image-too-large"),
        ({"image": ImageLimits(min_width=1_000), "flag": ("image-too-small",)}, None),
        ({"max_bytes": 100}, "file-too-large"),
        ({"max_bytes": 10**8, "min_bytes": 10**7}, "file-too-small"),
    ]  # fmt: skip
    policies = [served(("image/jpeg", "image/png"), **rules) for rules, _ in limits]
    for codes in said(page, upright, policies).values():
        assert codes == [code for _, code in limits]


def test_the_texts_are_those_of_the_service(page: Page) -> None:
    policy = served(("application/pdf",), max_bytes=2_000)
    problem = page.evaluate(
        "(policy) => checkFile(new File(['x'.repeat(3000)], 'x.pdf'), policy)", policy
    )
    assert problem == {
        "code": "file-too-large",
        "detail": "The selected file must be smaller than 2 KB",
        "params": {},
        "retryable": False,
    }
