"""A file isn't blamed for what its machine did; for its own excesses it is."""

import signal
from pathlib import Path

import pytest
import pyvips

from tests.support import images
from tests.support.decoders import WAYS, decoder_of, failure_of, run, stage
from tests.support.shortages import OF_DISK, OF_MEMORY
from worker import deaths
from worker.children import Ending
from worker.deaths import death, overdue
from worker.decoder.shortage import MEMORY_SHORT, SCRATCH_FAILS, Shortages
from worker.errors import FileRejected, TransientError

REAL_CHILD = """
from worker.decoder import child
from worker.errors import FileRejected
os.lseek(0, 0, os.SEEK_SET)
child.check_accepted = lambda *_: None
child.detect = lambda _: "image/png"
def process(job):
    {}
child.process = process
child.main(parent_pid=os.getppid(), readable=READABLE)
"""
"""The real one, but for what it does to the file."""
SHORT = "resource.setrlimit(resource.RLIMIT_DATA, (256 << 20,) * 2)"
"""What private memory there is, as when the machine has no more: far below a child's own limit."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("does", "cause"),
    [
        ("bytearray(3 << 30)", "decoder"),
        ("kept = [mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE) for _ in range(64)]", "decoder"),
        (f"{SHORT}; bytearray(1 << 30)", "memory"),
        (
            f"{SHORT}; kept = [mmap.mmap(-1, 16 << 20, mmap.MAP_PRIVATE) for _ in range(64)]",
            "memory",
        ),
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "memory"),
        ("os.kill(os.getpid(), signal.SIGBUS)", "memory"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "decoder"),
        ("raise OSError(28, os.strerror(28))", "scratch"),
        ("raise RuntimeError('write error: ' + os.strerror(28))", "scratch"),
        ("raise RuntimeError('something else')", "decoder"),
        ("open('big', 'wb').truncate(2 << 30)", "decoder"),
    ],
)
async def test_a_death_has_the_cause_it_had(way: str, scratch: Path, does: str, cause: str) -> None:
    failure = await failure_of(way, scratch, REAL_CHILD.format(does))
    assert (failure.cause, failure.counted) == (cause, True)


@pytest.mark.parametrize(
    ("short", "cause"), [(SHORT, "memory"), ("pass", "decoder")], ids=["machine", "own limit"]
)
@pytest.mark.parametrize(
    "said",
    [
        "pyvips.Error('', 'out of memory --- size == 48MB')",
        "pyvips.Error('', 'glib: Error creating thread: Resource temporarily unavailable')",
        "RuntimeError('std::bad_alloc')",
    ],
)
async def test_no_file_is_called_corrupt_because_there_was_no_memory(
    way: str, scratch: Path, said: str, short: str, cause: str
) -> None:
    does = f"import pyvips; {short}; raise FileRejected('file-corrupt') from {said}"
    failure = await failure_of(way, scratch, REAL_CHILD.format(does))
    assert failure.cause == cause


@pytest.mark.parametrize(
    ("said", "status"),
    [*((each, MEMORY_SHORT) for each in OF_MEMORY), *((each, SCRATCH_FAILS) for each in OF_DISK)],
)
def test_what_is_short_by_a_librarys_words_ends_the_child_so(said: str, status: int) -> None:
    verdict = FileRejected("file-corrupt")
    verdict.__cause__ = pyvips.Error("", said)
    assert Shortages().exit_status(verdict) == status


@pytest.mark.parametrize(
    "said",
    [
        "Memory allocation error: Security limit exceeded",
        "Invalid input: Invalid image size: out of memory",
        "JPEGLib: Out of memory reading of 3 bytes",
    ],
)
def test_words_about_memory_that_are_said_of_the_file_are_no_shortage(said: str) -> None:
    assert Shortages().exit_status(pyvips.Error("", said)) is None


async def test_a_png_whose_pixels_find_no_memory_is_not_rejected(way: str, scratch: Path) -> None:
    code = (
        "from worker.decoder import child\nos.lseek(0, 0, os.SEEK_SET)\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (96 << 20,) * 2)\n"
        "child.main(parent_pid=os.getppid(), readable=READABLE)"
    )
    async with decoder_of(way, code) as decoder:
        staged = stage(scratch.parent, images.png((5000, 5000)))
        with pytest.raises(TransientError) as failure:
            await run(decoder, staged, scratch)
    assert failure.value.cause == "memory"


async def test_a_child_that_uses_up_its_time_of_the_processor_exceeds_its_limits(
    way: str, scratch: Path
) -> None:
    code = "request['cpu_seconds'] = 1\nconfine()\nwhile True: pass"
    failure = await failure_of(way, scratch, code)
    assert failure.cause == "decoder"
    assert f"exit status -{signal.SIGXCPU.value}" in failure.detail


@pytest.mark.parametrize(("used", "cause"), [(2.9, "memory"), (3.0, "decoder"), (None, "memory")])
def test_who_ignores_the_signal_of_its_limit_is_told_by_the_time_it_used(
    used: float | None, cause: str
) -> None:
    ending = Ending(-signal.SIGKILL, cpu_seconds=used)
    assert death(ending, cpu_seconds=3, said="").cause == cause


@pytest.mark.parametrize(("used", "cause"), [(1.9, "busy"), (2.0, "decoder"), (None, "decoder")])
def test_who_runs_out_of_time_for_want_of_the_processor_is_no_bad_file(
    used: float | None, cause: str
) -> None:
    late = overdue("no answer", seconds=4, cpu_seconds=used)
    assert (late.cause, late.counted) == (cause, True)


@pytest.mark.parametrize(("refuses", "cause"), [(True, "memory"), (False, "decoder")])
def test_a_library_that_aborts_for_want_of_memory_tells_nothing_where_the_machine_refuses_it(
    monkeypatch: pytest.MonkeyPatch, *, refuses: bool, cause: str
) -> None:
    monkeypatch.setattr(deaths, "machine_may_refuse_memory", lambda: refuses)
    said = "GLib-ERROR: gmem.c:106: failed to allocate 4096 bytes"
    assert death(Ending(-signal.SIGTRAP), cpu_seconds=9, said=said).cause == cause
    assert death(Ending(-signal.SIGTRAP), cpu_seconds=9, said="").cause == "decoder"


def test_a_child_may_say_itself_that_the_machine_is_short() -> None:
    assert death(Ending(MEMORY_SHORT), cpu_seconds=9, said="").cause == "memory"
