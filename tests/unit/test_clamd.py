"""clamd's answers: only the exact OK is clean, and odd ones are no verdict at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.causes import Cause
from shared.status import StoreState
from worker.breaker import Breaker
from worker.errors import TransientError
from worker.scanner import Clamd, Scanner
from worker.scanner.address import parse
from worker.scanner.clamd import Said, ScannerAway, Version
from worker.scanner.self_test import SelfTest
from worker.scanner.verdicts import LONGEST_NAME, Meaning, read

OK = b"stream: OK\0"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("stream: OK", Meaning.CLEAN),
        ("stream: Win.Test.EICAR_HDB-1 FOUND", Meaning.INFECTED),
        ("stream: Heuristics.Phishing.Email FOUND", Meaning.INFECTED),
        ("stream: Heuristics.Encrypted.Zip FOUND", Meaning.UNSCANNABLE),
        ("stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND", Meaning.UNSCANNABLE),
        ("stream: Heuristics.Limits.Exceeded FOUND", Meaning.UNSCANNABLE),
        ("INSTREAM size limit exceeded. ERROR", Meaning.TOO_LONG),
        ("stream: Can't allocate memory ERROR", Meaning.NONSENSE),
        ("stream: OK\n", Meaning.NONSENSE),
        ("stream: OK FOUND", Meaning.INFECTED),
        ("stream:  FOUND", Meaning.NONSENSE),
        ("stream: ok", Meaning.NONSENSE),
        ("/etc/passwd: OK", Meaning.NONSENSE),
        ("1: stream: OK", Meaning.NONSENSE),
        ("UNKNOWN COMMAND", Meaning.NONSENSE),
        ("OK", Meaning.NONSENSE),
        ("", Meaning.NONSENSE),
    ],
)
def test_only_the_exact_ok_is_clean(text: str, meaning: Meaning) -> None:
    assert read(Said(text, sent_all=True)).meaning is meaning


def test_an_ok_before_all_was_sent_is_none() -> None:
    assert read(Said("stream: OK", sent_all=False)).meaning is Meaning.NONSENSE


def test_the_name_of_what_was_found_is_cut_to_what_a_record_holds() -> None:
    found = read(Said(f"stream: {'x' * 3000} FOUND", sent_all=True))
    assert found.signature == "x" * LONGEST_NAME


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("clamd:3311", ("clamd", 3311)),
        ("clamd", ("clamd", 3310)),
        ("[::1]:3310", ("::1", 3310)),
        ("unix:/run/clamav/clamd.ctl", "/run/clamav/clamd.ctl"),
    ],
)
def test_an_address_is_a_host_and_port_or_a_socket(value: str, address: object) -> None:
    assert parse(value) == address


@pytest.mark.parametrize(
    "value", ["", "tcp://clamd:3310", "clamd:port", "clamd:0", "unix:here", "a@b:1", ":3310"]
)
def test_anything_else_is_no_address(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(value)


class Talker:
    """Says what a test wants it to, which no real clamd could be made to say."""

    def __init__(self, answer: bytes | None, *, reads: bool = True) -> None:
        """`answer` is None for one that never comes."""
        self.answer, self.reads = answer, reads
        self.heard = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = await reader.readuntil(b"\0")
        if command == b"zVERSION\0":
            writer.write(b"ClamAV 1.4.6/27123/Thu Nov 26 09:00:00 2026\0")
        else:
            while self.reads and (length := int.from_bytes(await reader.readexactly(4))):
                self.heard += await reader.readexactly(length)
            if self.answer is None:
                await reader.read()
            writer.write(self.answer or b"")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def talking(talker: Talker, seconds: float = 5) -> AsyncIterator[Scanner]:
    server = await asyncio.start_server(talker, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def nobody_says() -> int | None:
        return None

    breaker = Breaker(name=Cause.SCANNER)
    scanner = Scanner(
        Clamd(("127.0.0.1", port)), breaker, scans=2, seconds=seconds, largest_field=nobody_says
    )
    scanner._believed = 1_000_000  # what it makes of probes is no matter here
    async with server:
        yield scanner


async def scan(scanner: Scanner, folder: Path) -> None:
    path = folder / "staged"
    path.write_bytes(b"x" * 300_000)
    await scanner.scan(path, size=300_000, max_bytes=300_000)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"stream: OK",
        b"stream: OK\n\0",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"x" * 10_000,
        b"\xff\0",
    ],
    ids=["nothing", "cut", "line", "http", "long", "bytes"],
)
async def test_an_odd_answer_is_no_verdict(tmp_path: Path, answer: bytes) -> None:
    async with talking(Talker(answer)) as scanner:
        with pytest.raises(TransientError) as told:
            await scan(scanner, tmp_path)
    assert (told.value.cause, told.value.counted) == ("scanner", False)


async def test_an_ok_for_a_stream_that_was_not_listened_to_is_no_verdict(tmp_path: Path) -> None:
    """Its connection is closed with the stream unread, which resets it."""
    async with talking(Talker(OK, reads=False)) as scanner:
        path = tmp_path / "staged"
        path.write_bytes(bytes(64 * 1024 * 1024))
        scanner._believed = 64 * 1024 * 1024
        with pytest.raises(TransientError):
            await scanner.scan(path, size=64 * 1024 * 1024, max_bytes=64 * 1024 * 1024)


async def test_a_file_that_takes_too_long_waits_and_closes_nobody_elses_way(tmp_path: Path) -> None:
    async with talking(Talker(None), seconds=0.1) as scanner:
        with pytest.raises(TransientError, match="in time") as told:
            await scan(scanner, tmp_path)
        assert (told.value.cause, told.value.counted) == ("scanner", False)
        assert not scanner.breaker.is_open


async def test_the_stream_is_the_file_and_the_signatures_are_told(tmp_path: Path) -> None:
    talker = Talker(OK)
    async with talking(talker) as scanner:
        path = tmp_path / "staged"
        path.write_bytes(bytes(range(256)) * 3000)
        verdict = await scanner.scan(path, size=768_000, max_bytes=768_000)
    assert talker.heard == bytes(range(256)) * 3000
    assert (verdict.engine, verdict.database) == ("ClamAV 1.4.6", "27123")


async def test_largest_files_that_take_too_long_are_told_and_hold_up_nothing_else() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command, heard = await reader.readuntil(b"\0"), 0
        if command == b"zVERSION\0":
            writer.write(b"ClamAV 1.4.6\0")
        else:
            while length := int.from_bytes(await reader.readexactly(4)):
                heard += len(await reader.readexactly(length))
            if heard > 1_000_000:
                await reader.read()
            writer.write(b"stream: Eicar FOUND\0")
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with server:
        clamd = Clamd(("127.0.0.1", server.sockets[0].getsockname()[1]))
        tested = await SelfTest(clamd, 0.5).run(2_000_000)
    assert (tested.works, tested.refuses) == (True, False)
    assert str(tested.findings[0]).startswith("SCAN_SECONDS: the largest files of a field")


async def test_a_version_without_a_database_is_one(tmp_path: Path) -> None:
    async def version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        writer.write(b"ClamAV 1.4.6\0")
        writer.close()

    server = await asyncio.start_unix_server(version, tmp_path / "s")
    async with server:
        assert await Clamd(str(tmp_path / "s")).version() == Version("ClamAV 1.4.6", None)
    with pytest.raises(ScannerAway):
        await Clamd(str(tmp_path / "nothing")).ping()


async def test_nothing_is_asked_while_it_is_away_and_an_operators_matter_is_told_apart(
    tmp_path: Path,
) -> None:
    talker = Talker(OK)
    async with talking(talker) as scanner:
        for state, cause in ((StoreState.AWAY, "scanner"), (StoreState.REFUSED, "scanner-refused")):
            scanner.breaker.trip(state, "a test's")
            with pytest.raises(TransientError) as told:
                await scan(scanner, tmp_path)
            assert (told.value.cause, told.value.counted) == (cause, False)
        assert not talker.heard
        scanner.breaker.close()
        await scan(scanner, tmp_path)
