"""Documents become PDFs, by a real LibreOffice that can do nothing else."""

import ast
import asyncio
import contextlib
import errno
import os
import platform
import signal
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from shared.formats import DOC, DOCX, ODT, PDF, RTF
from shared.policy import FilePolicy
from shared.status import Stage
from tests.support import documents
from tests.support.decoders import LANDLOCK_VERSION, holds
from tests.support.documents import SOFFICE, archive, converted, docx_parts, needs_office
from tests.unit.test_promoter import settings as worker_settings
from worker.errors import FileRejected, TransientError
from worker.office import confine, converter
from worker.office.confine import SOCKETS
from worker.office.converter import Office
from worker.processing import Processing
from worker.sandbox import Decoder, Processed

TYPES = [DOCX.media_type, ODT.media_type, RTF.media_type, DOC.media_type]
TO_PDF = {"accept": TYPES, "max_bytes": 10**8, "convert": dict.fromkeys(TYPES, PDF.media_type)}


def office_in(folder: Path, program: Path | None = SOFFICE, *, seconds: float = 100) -> Office:
    assert program
    (folder / "office").mkdir(exist_ok=True)
    return Office(program, folder / "office", deadline_seconds=seconds, at_once=3)


async def run(
    folder: Path,
    office: Office | None,
    content: bytes,
    *,
    stages: list[Stage] | None = None,
    **rules: Any,
) -> Processed:
    """What a worker makes of a document of a field that stores PDFs."""
    scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=folder))
    staged = scratch.with_suffix(".staged")
    staged.write_bytes(content)
    async with Decoder() as decoder:
        return await Processing(worker_settings(folder), decoder, office).process(
            staged,
            scratch,
            policy=FilePolicy.model_validate(TO_PDF | rules),
            field="cv",
            on_stage=(stages if stages is not None else []).append,
        )


def texts(pdf: Path) -> list[str]:
    opened = pypdfium2.PdfDocument(pdf)
    return [page.get_textpage().get_text_bounded().strip() for page in opened]


def children_of_this_process() -> set[str]:
    own = str(os.getpid())
    found = set()
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal():
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if fields[1] == own and fields[0] not in "ZX":
                    found.add(process.name)
    return found


def left_sockets() -> set[str]:
    """Those that nobody listens at any more: other programs of this machine may have theirs."""
    return {
        path.name for path in SOCKETS.glob("OSL_PIPE_*") if not _answers(path) and path.exists()
    }


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as knocking:
        return knocking.connect_ex(str(path)) == 0


def make(kind: str, folder: Path, pages: int) -> bytes:
    if kind == "doc":
        return converted(documents.rtf(pages), ".rtf", folder, "doc:MS Word 97")
    makers = {"docx": documents.docx, "odt": documents.odt, "rtf": documents.rtf}
    return makers[kind](pages)


@needs_office
@pytest.mark.parametrize("kind", ["docx", "odt", "rtf", "doc"])
async def test_five_pages_with_umlauts_become_a_pdf_of_five_pages(
    tmp_path: Path, kind: str
) -> None:
    before, stages = left_sockets(), list[Stage]()
    content = make(kind, tmp_path, 5)
    made = await run(tmp_path, office_in(tmp_path), content, stages=stages, keep_original=True)
    media_type = dict(zip(["docx", "odt", "rtf", "doc"], TYPES, strict=True))[kind]
    assert stages == [Stage.VALIDATING, Stage.CONVERTING]
    assert made.detected_type == media_type
    assert (made.object.name, made.object.content_type) == ("cv.pdf", PDF.media_type)
    assert made.object.pages == 5
    assert texts(made.object.path) == [documents.page(number) for number in range(1, 6)]
    assert made.original
    assert made.original.name == f"original.{kind}"
    assert made.original.path.read_bytes() == content
    noticed = {notice.code: notice.params for notice in made.notices}
    names = {"from_name": kind.upper(), "to_name": "PDF"}
    assert noticed["converted"] == {"from": media_type, "to": PDF.media_type, **names}
    left = {path.name for path in made.object.path.parent.iterdir()}
    assert not [name for name in left if name == "office"], "what LibreOffice wrote is gone"
    assert left_sockets() <= before


@needs_office
async def test_a_doc_older_than_word_97_becomes_a_pdf_too(tmp_path: Path) -> None:
    made = await run(tmp_path, office_in(tmp_path), documents.word_6("Grüße aus 1993"))
    assert made.detected_type == DOC.media_type
    assert texts(made.object.path) == ["Grüße aus 1993"]


@needs_office
async def test_documents_are_converted_at_the_same_time(tmp_path: Path) -> None:
    office = office_in(tmp_path)
    many = [run(tmp_path, office, documents.docx(pages)) for pages in range(1, 5)]
    made = await asyncio.gather(*many)
    assert [each.object.pages for each in made] == [1, 2, 3, 4]


@needs_office
async def test_a_pdf_with_more_pages_than_allowed_is_rejected_as_the_document(
    tmp_path: Path,
) -> None:
    with pytest.raises(FileRejected) as verdict:
        await run(tmp_path, office_in(tmp_path), documents.docx(3), document={"max_pages": 2})
    assert verdict.value.code == "file-too-many-pages"
    assert verdict.value.params == {"pages": 3, "max_pages": 2}
    assert verdict.value.detected_type == DOCX.media_type


@needs_office
async def test_a_document_that_libreoffice_cant_read_is_corrupt(tmp_path: Path) -> None:
    nonsense = archive(docx_parts() | {"word/document.xml": "<w:document", "_rels/.rels": "<"})
    with pytest.raises(FileRejected) as verdict:
        await run(tmp_path, office_in(tmp_path), nonsense)
    assert verdict.value.code == "file-corrupt"
    assert verdict.value.detected_type == DOCX.media_type


@needs_office
async def test_nothing_is_fetched_for_a_document(tmp_path: Path) -> None:
    """A picture, a template and a linked text on a server: no connection arrives."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        where = f"http://127.0.0.1:{server.getsockname()[1]}"
        base = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        relations = "".join(
            f'<Relationship Id="{name}" Type="{base}/{kind}" Target="{where}/{name}" TargetMode="External"/>'
            for name, kind in (
                ("far1", "image"),
                ("far2", "attachedTemplate"),
                ("far3", "subDocument"),
            )
        )
        picture = (
            '<w:p><w:r><w:pict xmlns:v="urn:schemas-microsoft-com:vml"><v:shape style="width:99pt;height:99pt">'
            '<v:imagedata r:id="far1"/></v:shape></w:pict></w:r></w:p><w:subDoc r:id="far3"/>'
        )
        field = f'<w:p><w:fldSimple w:instr="INCLUDEPICTURE &quot;{where}/x.png&quot;"><w:r><w:t>x</w:t></w:r></w:fldSimple></w:p>'
        content = documents.docx(body=picture + field, relations=relations)
        await run(tmp_path, office_in(tmp_path), content, document={"macros": "strip"})
        linked = (
            f'{{\\rtf1 {{\\field{{\\*\\fldinst INCLUDEPICTURE "{where}/y.png"}}{{\\fldrslt x}}}}}}'
        )
        await run(tmp_path, office_in(tmp_path), linked.encode())
        with pytest.raises(BlockingIOError):
            server.accept()
        with socket.create_connection(server.getsockname()):
            server.accept()[0].close()  # as it would have been seen


@needs_office
async def test_macros_are_not_run(tmp_path: Path) -> None:
    """The macro would never end, and the document with it."""
    basic = "Sub Main\nDo\nLoop\nEnd Sub"
    library = "http://openoffice.org/2000/library"
    names = ("script-lc.xml", "Standard/script-lb.xml", "Standard/Module1.xml")
    parts = documents.odt_parts(listed=tuple(f"Basic/{name}" for name in names))
    parts["content.xml"] = str(parts["content.xml"]).replace(
        "<office:automatic-styles>",
        '<office:scripts><office:event-listeners><script:event-listener xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0"'
        ' xmlns:xlink="http://www.w3.org/1999/xlink" script:language="ooo:script" script:event-name="dom:load"'
        ' xlink:href="vnd.sun.star.script:Standard.Module1.Main?language=Basic&amp;location=document"/>'
        "</office:event-listeners></office:scripts><office:automatic-styles>",
    )
    parts |= {
        "Basic/script-lc.xml": f'<library:libraries xmlns:library="{library}"><library:library library:name="Standard" library:link="false"/></library:libraries>',
        "Basic/Standard/script-lb.xml": f'<library:library xmlns:library="{library}" library:name="Standard"><library:element library:name="Module1"/></library:library>',
        "Basic/Standard/Module1.xml": f'<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Module1" script:language="StarBasic">{basic}</script:module>',
    }
    made = await run(tmp_path, office_in(tmp_path), archive(parts), document={"macros": "strip"})
    assert "macros-removed" in {notice.code for notice in made.notices}


def program_that(folder: Path, does: str) -> Path:
    """A LibreOffice that starts, and with a document does `does`."""
    path = folder / "program" / "soffice.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *terminate_after_init*) exit 0;; esac\n{does}\n', encoding="utf-8"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


async def test_a_libreoffice_that_hangs_is_killed_at_its_deadline(tmp_path: Path) -> None:
    office = office_in(tmp_path, program_that(tmp_path, "while :; do :; done"), seconds=0.5)
    before, began = children_of_this_process(), time.monotonic()
    with pytest.raises(TransientError) as failure:
        await run(tmp_path, office, documents.docx())
    assert failure.value.cause in ("decoder", "busy")
    assert failure.value.counted
    assert time.monotonic() - began < 20
    assert children_of_this_process() <= before


@needs_office
async def test_a_real_libreoffice_is_killed_at_its_deadline(tmp_path: Path) -> None:
    office = office_in(tmp_path)
    await office.prepare()
    office._deadline = 0.1
    before = children_of_this_process()
    with pytest.raises(TransientError) as failure:
        await run(tmp_path, office, documents.docx())
    assert failure.value.cause in ("decoder", "busy")
    assert children_of_this_process() <= before


async def test_a_libreoffice_that_dies_is_the_documents_doing(tmp_path: Path) -> None:
    office = office_in(tmp_path, program_that(tmp_path, "exit 139"))
    with pytest.raises(TransientError) as failure:
        await run(tmp_path, office, documents.docx())
    assert (failure.value.cause, failure.value.counted) == ("decoder", True)


async def test_a_libreoffice_that_doesnt_start_is_nobodys_doing(tmp_path: Path) -> None:
    program = program_that(tmp_path, "")
    program.write_text("#!/bin/sh\necho no library; exit 127\n", encoding="utf-8")
    with pytest.raises(TransientError, match="no library") as failure:
        await run(tmp_path, office_in(tmp_path, program), documents.docx())
    assert (failure.value.cause, failure.value.counted) == ("office", False)


async def test_a_libreoffice_that_wants_to_be_started_anew_is(tmp_path: Path) -> None:
    program = program_that(tmp_path, "")
    again = "[ -e profile/made ] && exit 0\n: > profile/made\nexit 81"
    program.write_text(f"#!/bin/sh\n{again}\n", encoding="utf-8")
    await office_in(tmp_path, program).prepare()
    assert (tmp_path / "office" / "office-profile" / "made").exists()


async def test_a_libreoffice_that_hangs_before_it_has_a_document_is_nobodys_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converter, "_FIRST_START_SECONDS", 0.5)
    program = program_that(tmp_path, "")
    program.write_text("#!/bin/sh\nwhile :; do :; done\n", encoding="utf-8")
    with pytest.raises(TransientError, match="doesn't start within") as failure:
        await office_in(tmp_path, program).prepare()
    assert (failure.value.cause, failure.value.counted) == ("office", False)


def written_pids(folder: Path) -> list[int]:
    return [int(said) for path in folder.rglob("pid") if (said := path.read_text())]


async def test_a_libreoffice_that_is_killed_from_outside_had_no_memory(tmp_path: Path) -> None:
    program = program_that(tmp_path, "echo $$ > pid; while :; do :; done")
    running = asyncio.create_task(run(tmp_path, office_in(tmp_path, program), documents.docx()))
    while not (pids := written_pids(tmp_path)):
        assert not running.done(), running
        await asyncio.sleep(0.01)
    os.kill(pids[0], signal.SIGKILL)
    with pytest.raises(TransientError) as failure:
        await running
    assert (failure.value.cause, failure.value.counted) == ("memory", True)


async def test_a_link_in_place_of_a_pdf_is_none(tmp_path: Path) -> None:
    """Where it leads, the program might not read, and the worker may."""
    linking = 'for last in "$@"; do :; done; name=${last##*/}; exec ln -s "$last" "${name%.*}.pdf"'
    with pytest.raises(FileRejected) as verdict:
        await run(tmp_path, office_in(tmp_path, program_that(tmp_path, linking)), documents.docx())
    assert verdict.value.code == "file-corrupt"


async def test_a_pdf_of_libreoffices_that_cant_be_read_says_nothing_bad_of_the_document(
    tmp_path: Path,
) -> None:
    writing = 'for last in "$@"; do :; done; name=${last##*/}; echo "%PDF-1.4" > "${name%.*}.pdf"'
    with pytest.raises(TransientError, match="rejected: file-corrupt") as failure:
        await run(tmp_path, office_in(tmp_path, program_that(tmp_path, writing)), documents.docx())
    assert (failure.value.cause, failure.value.counted) == ("decoder", True)


async def test_without_libreoffice_a_document_waits_or_is_stored_as_the_field_says(
    tmp_path: Path,
) -> None:
    with pytest.raises(TransientError) as failure:
        await run(tmp_path, None, documents.docx())
    assert (failure.value.cause, failure.value.counted) == ("office", False)
    made = await run(tmp_path, None, documents.docx(), document={"without_converter": "store"})
    assert (made.object.name, made.object.content_type) == ("cv.docx", DOCX.media_type)
    assert [notice.code for notice in made.notices] == ["not-converted"]


async def test_without_libreoffice_macros_that_were_to_be_taken_out_are_rejected(
    tmp_path: Path,
) -> None:
    parts = docx_parts(main=documents.MACRO_MAIN) | {"word/vbaProject.bin": b"x"}
    rules = {"macros": "strip", "without_converter": "store"}
    with pytest.raises(FileRejected) as verdict:
        await run(tmp_path, None, archive(parts), document=rules)
    assert verdict.value.code == "file-has-macros"


async def test_an_encrypted_document_that_is_taken_is_stored_as_it_came(tmp_path: Path) -> None:
    content = documents.compound({"EncryptedPackage": b"x", "EncryptionInfo": b"y"})
    made = await run(tmp_path, None, content, document={"encrypted": True})
    assert made.object.name == "cv.docx"
    assert {notice.code for notice in made.notices} == {"pages-not-checked", "not-converted"}


if sys.platform == "linux":
    TRIES = {
        "connecting": "import socket; socket.create_connection(('127.0.0.1', 9))",
        "other networks": "import socket; socket.socket(socket.AF_INET6)",
        "starting programs beside it": "import subprocess; subprocess.run(['/bin/true'])",
        "forking": "import os; os.fork()",
        "killing": "import os; os.kill(os.getppid(), 0)",
        "reading others' files": f"open({str(Path(__file__))!r})",
        "writing others' files": "open('/tmp/longshore-is-not-to-be', 'w')",
        "reading processes": "open('/proc/1/environ')",
    }

    CALLS = {
        "vfork": (58, 0), "kill": (62, 129), "tkill": (200, 130), "ptrace": (101, 117),
        "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "mount": (165, 40),
        "unshare": (272, 97), "setns": (308, 268), "keyctl": (250, 219), "add_key": (248, 217),
        "request_key": (249, 218), "bpf": (321, 280), "perf_event_open": (298, 241),
        "userfaultfd": (323, 282), "pidfd_send_signal": (424, 424), "io_uring_setup": (425, 425),
        "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
        "a call under another number": (0x40000000 + 39, 0), "clone3": (435, 435),
    }  # fmt: skip # a list of names reads better in rows

    async def _confined(own: Path, code: str) -> tuple[str, str]:
        """What holds a process that is confined as the launcher does it, and what it says that
        does `code` in place of the program."""
        before = (
            "import ctypes, os, resource, socket, subprocess, sys\nfrom pathlib import Path\n"
            "from worker.office import confine\n"
            f"own = Path({str(own)!r})\nstatus = open('/proc/self/status')\n"
            "held = confine.confine(\n"
            "    None, own, own / 'a' / 'b', cpu_seconds=10, parent_pid=os.getppid()\n)\n"
            "print(','.join(held))\n"
        )
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", before + code,
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip # one command is one line
        said, _ = await child.communicate()
        held, _, rest = said.decode().partition("\n")
        for closed in ("files", "network", "processes"):
            holds(held, closed)
        return held, rest

    @pytest.mark.parametrize("what", TRIES)
    async def test_what_becomes_libreoffice_has_no_way_out(tmp_path: Path, what: str) -> None:
        _, said = await _confined(
            tmp_path,
            f"try:\n    {TRIES[what]}\n"
            "except (PermissionError, OSError) as error:\n    print('refused', error.errno)\n"
            "else:\n    print('done')\n",
        )
        result, *number = said.split()
        assert result == "refused"
        assert int(number[0]) in (errno.EPERM, errno.EACCES)

    async def test_what_becomes_libreoffice_cant_call_what_it_doesnt_need_and_has_limits(
        tmp_path: Path,
    ) -> None:
        column = 0 if platform.machine() == "x86_64" else 1
        calls = {name: numbers[column] for name, numbers in CALLS.items() if numbers[column]}
        others = f"\0longshore-test-{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(others)
        listener.listen()
        _, said = await _confined(
            tmp_path,
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "room = ctypes.create_string_buffer(64)\ndone = {}\n"
            f"for name, number in {calls!r}.items():\n"
            "    result = libc.syscall(number, 0, room, 0, 0, 0, 0)\n"
            "    done[name] = ctypes.get_errno() if result == -1 else 0\n"
            "kinds = ('CORE', 'CPU', 'FSIZE', 'NOFILE', 'AS')\n"
            "limits = {k: resource.getrlimit(getattr(resource, f'RLIMIT_{k}')) for k in kinds}\n"
            f"tried = socket.socket(socket.AF_UNIX).connect_ex({others!r})\n"
            "dies_with_parent = ctypes.c_int()\n"
            "libc.prctl(2, ctypes.byref(dies_with_parent))\n"
            "privileges = status.read().partition('NoNewPrivs:')[2].split()[0]\n"
            "print([done, tried, limits, dies_with_parent.value, privileges])\n",
        )
        listener.close()
        done, connected, limits, signal_at_death, no_new_privileges = ast.literal_eval(said)
        if LANDLOCK_VERSION >= 6:
            assert connected == errno.EPERM, "others' sockets without a file"
        assert done == dict.fromkeys(calls, errno.EPERM) | {"clone3": errno.ENOSYS}
        assert limits == {
            "CORE": (0, 0),
            "CPU": (10, 11),
            "FSIZE": (confine.FILE_BYTES, confine.FILE_BYTES),
            "NOFILE": (confine.OPEN_FILES, confine.OPEN_FILES),
            "AS": (confine.MEMORY_BYTES, confine.MEMORY_BYTES),
        }
        assert (signal_at_death, no_new_privileges) == (signal.SIGKILL, "1")
