"""What a real clamd says of a file, and what is believed of it."""

import asyncio
import io
import os
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pikepdf
import pytest
from structlog.testing import capture_logs

from shared.causes import Cause
from shared.finding import Level
from shared.form_definition import load_form_types
from shared.internal_api import Scan
from shared.status import StoreState, Verdict
from tests.support.clamd import EICAR, NAME, RunningClamd, running_clamd
from tests.support.files import pdf
from tests.support.stack import CHECKOUT
from worker.breaker import Breaker
from worker.errors import SourceChanged, TransientError
from worker.scanner import Clamd, Scanner
from worker.scanner.verdicts import Meaning, read
from worker.watch import Pauses, Watch

MIB = 1024 * 1024
QUICK = Pauses(silence=0.05, patience=1, first=0.05, away=0.05, refused=0.1, again=0.1)


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningClamd]:
    with running_clamd(tmp_path_factory.mktemp("clamd")) as running:
        yield running


def client_of(clamd: RunningClamd) -> Clamd:
    return Clamd(("127.0.0.1", clamd.port))


def scanner_of(
    clamd: RunningClamd, *, seconds: float = 20, scans: int = 4, largest: int | None = None
) -> Scanner:
    async def largest_field() -> int | None:
        return largest

    return Scanner(
        client_of(clamd),
        Breaker(name=Cause.SCANNER),
        scans=scans,
        seconds=seconds,
        largest_field=largest_field,
    )


async def scanned(scanner: Scanner, folder: Path, content: bytes, *, max_bytes: int = MIB) -> Scan:
    path = folder / "staged"
    await asyncio.to_thread(path.write_bytes, content)
    return await scanner.scan(path, size=len(content), max_bytes=max_bytes)


def archive(content: bytes, *, name: str = "word/document.xml") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(name, content)
    return made.getvalue()


def encrypted_archive() -> bytes:
    """A stored entry whose flags say that it is encrypted, which is all that clamd looks at."""
    made = bytearray(archive(os.urandom(400)))
    made[6] |= 1  # general purpose flags, in the entry's own header ...
    made[made.index(b"PK\1\2") + 8] |= 1  # ... and in the central directory
    return bytes(made)


def document(
    *, attached: bytes | None = None, password: str | None = None, owner: str = ""
) -> bytes:
    made, written = pikepdf.new(), io.BytesIO()
    made.add_blank_page()
    if attached is not None:
        made.attachments["a.txt"] = attached
    if password is None and not owner:
        made.save(written, compress_streams=False)
    else:
        made.save(written, encryption=pikepdf.Encryption(owner=owner, user=password or ""))
    return written.getvalue()


# --- verdicts


async def test_a_clean_file_is_clean_by_an_engine_that_is_told(
    clamd: RunningClamd, tmp_path: Path
) -> None:
    scan = await scanned(scanner_of(clamd), tmp_path, pdf())
    assert (scan.verdict, scan.signature) == (Verdict.CLEAN, None)
    assert scan.engine is not None
    assert scan.engine.startswith("ClamAV ")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(EICAR, id="plain"),
        pytest.param(pdf() + b"\n%" + EICAR, id="behind-a-pdf"),
        pytest.param(archive(EICAR), id="in-an-archive"),
        pytest.param(archive(archive(EICAR)), id="in-an-archive-in-an-archive"),
        pytest.param(document(attached=EICAR), id="attached-to-a-pdf"),
        pytest.param(bytes(MIB) + EICAR, id="at-the-end-of-a-large-file"),
    ],
)
async def test_the_test_virus_is_found_wherever_it_hides(
    clamd: RunningClamd, tmp_path: Path, content: bytes
) -> None:
    scan = await scanned(scanner_of(clamd), tmp_path, content, max_bytes=2 * MIB)
    assert (scan.verdict, scan.signature) == (Verdict.INFECTED, NAME)


@pytest.mark.parametrize(
    ("content", "signature"),
    [
        (encrypted_archive(), "Heuristics.Encrypted.Zip"),
        (document(password="secret", owner="other"), "Heuristics.Encrypted.PDF"),
        (bytes(2 * MIB) + EICAR, "Heuristics.Limits.Exceeded.MaxFileSize"),
        (archive(os.urandom(1000) + os.urandom(3 * MIB)), "Heuristics.Limits.Exceeded.MaxFileSize"),
    ],
    ids=["archive", "pdf", "too-long", "too-long-in-an-archive"],
)
async def test_what_clamd_cannot_look_into_is_neither_clean_nor_infected(
    clamd: RunningClamd, tmp_path: Path, content: bytes, signature: str
) -> None:
    scan = await scanned(scanner_of(clamd), tmp_path, content, max_bytes=3 * MIB)
    assert (scan.verdict, scan.signature) == (Verdict.UNSCANNABLE, signature)


async def test_a_pdf_that_opens_without_a_password_is_looked_into(
    clamd: RunningClamd, tmp_path: Path
) -> None:
    scan = await scanned(scanner_of(clamd), tmp_path, document(owner="secret"))
    assert scan.verdict is Verdict.CLEAN


async def test_a_stream_beyond_its_limit_waits_and_the_answer_is_read_though_it_breaks_off(
    clamd: RunningClamd, tmp_path: Path
) -> None:
    scanner = scanner_of(clamd)
    with capture_logs() as logs, pytest.raises(TransientError, match="size limit exceeded") as told:
        await scanned(scanner, tmp_path, bytes(32 * MIB) + EICAR, max_bytes=MIB)
    assert (told.value.cause, told.value.counted) == ("scanner", False)
    assert not scanner.breaker.is_open, "one long file is no reason to ask no more"
    assert ("error", "StreamMaxLength") in {
        (each["log_level"], each.get("change")) for each in logs
    }


async def test_bytes_that_are_not_those_announced_have_no_verdict(
    clamd: RunningClamd, tmp_path: Path
) -> None:
    path = tmp_path / "staged"
    path.write_bytes(b"short")
    for size in (4, 6):
        with pytest.raises(SourceChanged):
            await scanner_of(clamd).scan(path, size=size, max_bytes=MIB)
    with pytest.raises(SourceChanged):
        await scanner_of(clamd).scan(tmp_path / "nothing", size=4, max_bytes=MIB)


async def test_a_clamd_that_passes_over_long_files_in_silence_makes_none_of_them_clean(
    tmp_path: Path,
) -> None:
    with running_clamd(tmp_path / "clamd", {"AlertExceedsMax": "no"}) as silent:
        raw = await client_of(silent).look_into(_whole(bytes(2 * MIB) + EICAR), seconds=20)
        assert read(raw).meaning is Meaning.CLEAN, "what this test is about"
        scanner = scanner_of(silent)
        for content in (bytes(2 * MIB) + EICAR, bytes(3 * MIB)):
            with pytest.raises(TransientError, match="doesn't look into files of"):
                await scanned(scanner, tmp_path, content, max_bytes=3 * MIB)
        short = await scanned(scanner, tmp_path, bytes(MIB), max_bytes=3 * MIB)
        assert short.verdict is Verdict.CLEAN


# --- what is looked at in the beginning


async def test_a_clamd_that_looks_far_enough_is_told_with_its_version_and_the_largest_field(
    clamd: RunningClamd,
) -> None:
    tested = await scanner_of(clamd, largest=2 * MIB).self_test()
    (found,) = tested.findings
    assert (tested.works, tested.refuses, found.level) == (True, False, Level.OK)
    assert "ClamAV" in found.text
    assert str(2 * MIB) in found.text


@pytest.mark.parametrize(
    ("largest", "settings", "change"),
    [
        (2 * MIB + 1, {}, "set MaxFileSize to as many or more"),
        (4 * MIB + 1, {}, "set MaxFileSize and StreamMaxLength to"),
        (3 * MIB, {"AlertExceedsMax": "no"}, "set AlertExceedsMax yes, and MaxFileSize to"),
    ],
)
async def test_limits_below_the_largest_field_are_told_with_what_to_change(
    tmp_path: Path, largest: int, settings: dict[str, str], change: str
) -> None:
    with running_clamd(tmp_path / "clamd", settings) as low:
        tested = await scanner_of(low, largest=largest).self_test()
    assert tested.works, "smaller files go on"
    found = tested.findings[0]
    assert (found.level, found.name) == (Level.WRONG, "clamd.conf")
    assert change in found.text


async def test_a_clamd_that_does_not_say_what_it_left_out_is_a_warning(tmp_path: Path) -> None:
    with running_clamd(tmp_path / "clamd", {"AlertExceedsMax": "no"}) as silent:
        tested = await scanner_of(silent, largest=MIB).self_test()
    (found,) = tested.findings
    assert (tested.works, found.level, found.name) == (True, Level.WARNING, "clamd.conf")
    assert "AlertExceedsMax yes" in found.text


async def test_a_clamd_without_signatures_of_the_test_virus_is_not_to_be_relied_on(
    tmp_path: Path,
) -> None:
    with running_clamd(tmp_path / "clamd") as other:
        other.stop()
        (other.folder / "database/test.ndb").write_text("Other:0:*:6c6f6e6773686f7265\n")
        other.start()
        tested = await scanner_of(other).self_test()
    assert (tested.works, tested.refuses) == (False, True)
    assert "load its signatures" in str(tested.findings[0])


async def test_the_clamd_of_compose_looks_into_the_largest_file_of_every_form(
    tmp_path: Path,
) -> None:
    lines = (CHECKOUT / "deploy/clamd/clamd.conf").read_text("utf-8").splitlines()
    given = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    elsewhere = {"TCPSocket", "DatabaseDirectory", "TemporaryDirectory"}
    largest = max(
        field.max_bytes
        for form_type in load_form_types(CHECKOUT / "forms").values()
        for field in form_type.file_fields.values()
    )
    settings = {name: value for name, value in given.items() if name not in elsewhere}
    with running_clamd(tmp_path / "clamd", settings) as composed:
        tested = await scanner_of(composed, largest=largest).self_test()
    assert [each.level for each in tested.findings] == [Level.OK]


# --- away, and back


@asynccontextmanager
async def watched(scanner: Scanner) -> AsyncIterator[None]:
    running = asyncio.create_task(Watch(scanner, scanner.breaker, QUICK).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for rings no bell
            await asyncio.sleep(0.01)


async def test_a_clamd_that_is_gone_is_waited_for_and_not_asked_for_every_file(
    tmp_path: Path,
) -> None:
    with running_clamd(tmp_path / "clamd") as clamd:
        scanner = scanner_of(clamd)
        async with watched(scanner):
            with clamd.gone():
                for _ in range(3):
                    with pytest.raises(TransientError) as told:
                        await scanned(scanner, tmp_path, EICAR)
                    assert (told.value.cause, told.value.counted) == ("scanner", False)
                assert scanner.breaker.state is StoreState.AWAY
            await until(lambda: not scanner.breaker.is_open)
            assert (await scanned(scanner, tmp_path, EICAR)).verdict is Verdict.INFECTED
            assert (await scanned(scanner, tmp_path, pdf())).verdict is Verdict.CLEAN


async def test_what_a_frozen_clamd_is_looking_into_is_given_back_long_before_its_time_is_over(
    tmp_path: Path,
) -> None:
    with running_clamd(tmp_path / "clamd") as clamd:
        scanner = scanner_of(clamd, seconds=600)
        async with watched(scanner):
            await scanned(scanner, tmp_path, pdf())
            with clamd.frozen():
                async with asyncio.timeout(60):
                    with pytest.raises(
                        TransientError, match=r"went away meanwhile|doesn't answer in time"
                    ) as told:
                        await scanned(scanner, tmp_path, EICAR)
                assert told.value.cause == "scanner"
            await until(lambda: not scanner.breaker.is_open)
            assert (await scanned(scanner, tmp_path, EICAR)).verdict is Verdict.INFECTED


async def test_a_clamd_that_is_killed_in_the_middle_of_a_stream_gives_no_verdict(
    tmp_path: Path,
) -> None:
    with running_clamd(tmp_path / "clamd", {"StreamMaxLength": "64M"}) as clamd:
        scanner = scanner_of(clamd)
        with clamd.frozen():  # so that the stream is surely under way
            scanning = asyncio.create_task(_of_a_large_file(scanner, tmp_path))
            await until(lambda: scanner._under_way)
            await asyncio.sleep(0.1)
            clamd.stop()
            with pytest.raises(TransientError) as told:
                await scanning
            clamd.start()
    assert (told.value.cause, told.value.counted) == ("scanner", False)
    assert scanner.breaker.is_open


async def test_no_more_files_are_looked_into_at_the_same_time_than_there_are_places(
    clamd: RunningClamd, tmp_path: Path
) -> None:
    scanner = scanner_of(clamd, scans=2)
    with clamd.frozen():
        scans = [asyncio.create_task(scanned(scanner, tmp_path, pdf())) for _ in range(5)]
        await until(lambda: len(scanner._under_way) == 2)
        await asyncio.sleep(0.05)
        assert len(scanner._under_way) == 2
    assert {each.verdict for each in await asyncio.gather(*scans)} == {Verdict.CLEAN}


async def _of_a_large_file(scanner: Scanner, folder: Path) -> Scan:
    return await scanned(scanner, folder, bytes(16 * MIB), max_bytes=16 * MIB)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
