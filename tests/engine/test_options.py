"""LibreOffice in the worker's image and the scanner beside it, as docs/deployment.md says."""

import json
from collections.abc import Iterator

import pytest

from tests.support import engine
from tests.support.clamd import EICAR
from tests.support.compose import composed
from tests.support.documents import archive, docx, docx_parts
from tests.support.engine import Deployment, EngineError, deployment, docker

pytestmark = pytest.mark.slow  # an image of 0.9 GB, and a deployment more

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TAG = "longshore-worker:office"


@pytest.fixture(scope="module")
def both(
    running: Deployment, tmp_path_factory: pytest.TempPathFactory, notes: list[str]
) -> Iterator[Deployment]:
    scanner = composed()["services"]["clamd"]["image"]
    try:
        notes.append(f"{scanner}: {engine.provide(scanner, ask_registry=True)}")
    except (EngineError, OSError) as error:
        pytest.skip(f"neither {scanner} nor a stand-in for it can be had: {error}")
    folder = tmp_path_factory.mktemp("options")
    tag = folder / "tag.yaml"
    tag.write_text(json.dumps({"services": {"worker": {"image": TAG}}}))
    running("down")
    with deployment("longshore-options", folder) as made:
        made.overrides = [*engine.build_override(folder), tag]
        made.settings |= {
            "WORKER_OFFICE": "true",
            "COMPOSE_PROFILES": "scanner",
            "CLAMD_ADDRESS": "clamd:3310",
        }
        made("build", "worker")
        notes.append(f"healthy {made.up():.1f} s after docker compose up with a scanner")
        yield made
    running.up()


def test_a_document_becomes_a_pdf_that_opens(both: Deployment) -> None:
    form = both.form()
    stored = form.stored("resume", docx(pages=2), filename="cv.docx", kind=DOCX)
    assert stored["object"]["content_type"] == "application/pdf"
    assert stored["scan"]["verdict"] == "clean"
    link = form.http.get(f"/v1/uploads/{stored['id']}/content", follow_redirects=True)
    assert link.content.startswith(b"%PDF-")


def test_a_virus_in_a_document_is_found(both: Deployment) -> None:
    form = both.form()
    parts = docx_parts() | {"word/media/note.txt": EICAR}
    upload = form.upload("resume", archive(parts), filename="cv.docx", kind=DOCX)
    read = form.final(upload)
    assert (read["status"], read["error"]["code"]) == ("rejected", "file-infected")
    assert read["scan"]["verdict"] == "infected"


def test_nothing_is_stored_while_the_scanner_is_away(both: Deployment) -> None:
    form = both.form()
    both("stop", "clamd")
    upload = form.upload("resume", docx(), filename="cv.docx", kind=DOCX)
    with pytest.raises(AssertionError, match=r"still (staged|processing)"):
        form.final(upload, seconds=3)
    both("start", "clamd")
    read = form.final(upload)
    assert (read["status"], read["attempts"]) == ("stored", 1)


def test_each_is_found_by_the_workers_check(both: Deployment) -> None:
    said = both.execute("worker", "python", "-m", "worker.check")
    lines = {line.split()[1]: line for line in said.splitlines() if line}
    for name in ("LibreOffice", "CLAMD_ADDRESS"):
        assert lines[name].startswith("ok "), said


def test_the_scanner_and_libreoffice_may_do_as_little_as_the_others(both: Deployment) -> None:
    for service in ("clamd", "worker"):
        (container,) = both.containers(service)
        assert container["State"]["Health"]["Status"] == "healthy"
        assert not container["State"]["OOMKilled"]
        user = docker("exec", container["Id"], "id", "-u")
        assert user != "0"
        assert container["HostConfig"]["ReadonlyRootfs"] is True
        assert not both.runs(service, "touch", "/written")


def test_the_scanners_image_finds_the_socket_that_it_looks_for(both: Deployment) -> None:
    """Otherwise its script ends the container, after half an hour."""
    (container,) = both.containers("clamd")
    assert both.runs("clamd", "test", "-S", "/tmp/clamd.sock")
    assert container["RestartCount"] == 0
