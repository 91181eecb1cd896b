"""The child that decodes: what it may do, and what happens when it misbehaves."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import ANY

import pytest

from shared.policy import FilePolicy
from shared.status import Stage
from tests.support import images
from tests.support.decoders import (
    ACCEPT,
    LEAVE_PID,
    WAYS,
    alive,
    decoder_of,
    ends,
    failure_of,
    holds,
    pid_in,
    probe,
    run,
    stage,
)
from worker.decoder import confine
from worker.errors import FileRejected, TransientError
from worker.sandbox import Decoder, Processed

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How a child comes to life: forked from the zygote, or as a process of its own."""
    return str(request.param)


@pytest.fixture
async def decoder(way: str) -> AsyncIterator[Decoder]:
    async with decoder_of(way) as one:
        yield one


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


REFUSED = ("EPERM", "EACCES", "ENOSYS")
"""The last is for calls that the child is told don't exist. Any other error is the call's own: it was
let through, and only its arguments were odd."""


async def test_an_image_becomes_an_object_and_its_derivatives(
    decoder: Decoder, tmp_path: Path, scratch: Path
) -> None:
    staged = stage(tmp_path, images.png((400, 300)))
    stages: list[Stage] = []
    policy = FilePolicy.model_validate(
        {
            "accept": ACCEPT,
            "max_bytes": 10**8,
            "convert": {"image/png": "image/jpeg"},
            "derivatives": {"medium": {"size": 100}, "thumb": {"size": 20, "format": "webp"}},
            "keep_original": True,
        }
    )
    processed = await decoder.process(
        staged,
        scratch,
        policy=policy,
        field="headshot",
        deadline_seconds=20,
        on_stage=stages.append,
    )
    assert stages == [Stage.VALIDATING, Stage.CONVERTING]
    assert processed.detected_type == "image/png"
    assert processed.object.path == scratch / "headshot.jpg"
    assert (processed.object.width, processed.object.height) == (400, 300)
    assert [output.name for output in processed.outputs] == [
        "headshot.jpg",
        "headshot-medium.jpg",
        "headshot-thumb.webp",
        "original.png",
    ]
    assert processed.original is not None
    assert processed.original.path == staged
    assert [output.content_type for output in processed.outputs] == [
        "image/jpeg",
        "image/jpeg",
        "image/webp",
        "image/png",
    ]
    for output in processed.outputs:
        assert output.path.stat().st_size == output.size


async def test_a_pdf_is_its_own_object_unchanged(
    decoder: Decoder, tmp_path: Path, scratch: Path
) -> None:
    staged = stage(tmp_path, images.pdf(3))
    derivatives = {"thumb": {"size": 20}}
    processed = await run(decoder, staged, scratch, keep_original=True, derivatives=derivatives)
    assert (processed.object.path, processed.object.name) == (staged, "headshot.pdf")
    assert (processed.object.size, processed.object.pages) == (staged.stat().st_size, 3)
    thumb = processed.derivatives["thumb"]
    assert processed.outputs == [processed.object, thumb]
    assert (thumb.name, thumb.height) == ("headshot-thumb.jpg", 20)


@pytest.mark.parametrize(
    ("content", "detected"),
    [
        (b"<html><script>alert(1)</script>", "text/html"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        (b"8BPS\0\1" + bytes(99), "image/vnd.adobe.photoshop"),
        (b"PK\3\4" + bytes(99), "application/zip"),
        (images.webp(), "image/webp"),
        (b"hello", None),
    ],
)
async def test_a_type_the_field_doesnt_accept_is_rejected_by_its_bytes(
    decoder: Decoder, tmp_path: Path, scratch: Path, content: bytes, detected: str | None
) -> None:
    with pytest.raises(FileRejected) as verdict:
        await run(decoder, stage(tmp_path, content), scratch)
    assert verdict.value.code == "file-invalid-type"
    assert verdict.value.detected_type == detected
    assert verdict.value.params == ({"detected_type": detected} if detected else {})


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (images.jpeg()[:900], "file-corrupt"),
        (images.header_bomb(), "image-too-large"),
        (images.encrypted_pdf(to_open="secret"), "file-encrypted"),
        (images.pdf()[:500], "file-corrupt"),
    ],
)
async def test_a_bad_file_is_rejected_with_what_it_is(
    decoder: Decoder, tmp_path: Path, scratch: Path, content: bytes, code: str
) -> None:
    with pytest.raises(FileRejected) as verdict:
        await run(decoder, stage(tmp_path, content), scratch)
    assert verdict.value.code == code
    assert verdict.value.detected_type in ACCEPT


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (images.png((2, 2))[:60], "file-infected"),  # cut off, which nobody sees
        (b"<html><script>", "file-invalid-type"),
    ],
)
async def test_of_a_file_with_a_verdict_only_the_type_is_found_out(
    decoder: Decoder, tmp_path: Path, scratch: Path, content: bytes, code: str
) -> None:
    policy = FilePolicy.model_validate({"accept": ["image/png"], "max_bytes": 10**8})
    found = FileRejected("file-infected", {"signature": "Eicar"})
    with pytest.raises(FileRejected) as verdict:
        await decoder.process(
            stage(tmp_path, content),
            scratch,
            policy=policy,
            field="headshot",
            deadline_seconds=20,
            found=found,
        )
    assert verdict.value.code == code
    if code == "file-infected":
        assert verdict.value.detected_type == "image/png"
        assert verdict.value.params == {"signature": "Eicar"}


@pytest.mark.parametrize(
    "code",
    [
        "os.abort()",
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "sys.exit(1)",
        "pass",
        "print('rubbish')",
        "print(json.dumps({'stage': 'lunch'}))",
        "print(json.dumps(['result']))",
        "print(json.dumps({'result': 'accepted', 'detected_type': 'text/html'}))",
        "print(json.dumps({'result': 'rejected', 'code': 'No Such Code!', 'params': {}}))",
        "print(json.dumps({'result': 'rejected', 'code': 'x', 'params': {}, 'detected_type': 'no type'}))",
        "print('x' * 10_000_000)",
        "answer(); sys.exit(1)",
        "raise ValueError",
    ],
)
async def test_a_child_that_fails_is_tried_again_and_counted(
    way: str, scratch: Path, code: str
) -> None:
    failure = await failure_of(way, scratch, code)
    assert (failure.cause, failure.counted) == ("decoder", True)


async def test_what_a_dying_child_said_is_kept_for_the_log(way: str, scratch: Path) -> None:
    assert "out of cheese" in str(await failure_of(way, scratch, "sys.exit('out of cheese')"))


async def test_a_child_is_killed_at_its_deadline_with_all_it_started(
    way: str, scratch: Path
) -> None:
    code = "if os.fork() == 0:\n    " + LEAVE_PID + "time.sleep(60)"
    started = time.monotonic()
    failure = await failure_of(way, scratch, code, seconds=2)
    assert time.monotonic() - started < 20
    cause = "busy" if way == "forked" else "decoder"  # nobody counts what a fresh one uses
    assert (failure.cause, failure.counted) == (cause, True)
    assert await ends(await pid_in(scratch))


async def test_the_real_child_is_killed_at_its_deadline(
    decoder: Decoder, tmp_path: Path, scratch: Path
) -> None:
    staged = stage(tmp_path, images.png((8000, 6000)))
    with pytest.raises(TransientError) as failure:
        await run(decoder, staged, scratch, seconds=0.01)
    assert failure.value.cause in ("decoder", "busy")


async def test_a_cancelled_parent_leaves_no_child(way: str, tmp_path: Path, scratch: Path) -> None:
    async with decoder_of(way, LEAVE_PID + "time.sleep(60)") as decoder:
        working = asyncio.create_task(run(decoder, stage(tmp_path, b"staged"), scratch))
        child = await pid_in(scratch)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert not alive(child)


async def test_a_killed_parent_leaves_no_child(way: str, tmp_path: Path, scratch: Path) -> None:
    code = "confine()\n" + LEAVE_PID + "time.sleep(60)"
    parent_code = f"""
import asyncio
from pathlib import Path
from tests.support.decoders import decoder_of, run
async def main():
    async with decoder_of({way!r}, {code!r}) as decoder:
        await run(decoder, Path({str(stage(tmp_path, b"x"))!r}), Path({str(scratch)!r}), seconds=60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent_code, env={"PYTHONPATH": str(ROOT)}
    )
    child = await pid_in(scratch)
    assert alive(child)
    parent.kill()
    await parent.wait()
    assert await ends(child)


async def test_a_child_doesnt_see_its_parents_environment(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "very-secret")
    seen = await probe(way, tmp_path, "seen.update(os.environ)")
    assert not [name for name in seen if name.startswith(("S3", "AWS"))]
    assert "very-secret" not in json.dumps(seen)


async def test_a_child_reads_nothing_but_its_file_and_writes_nothing_but_its_scratch(
    way: str, tmp_path: Path
) -> None:
    other = tmp_path / "upl_other"
    other.write_text("somebody else's")
    seen = await probe(
        way,
        tmp_path,
        f"""
confine()
attempt("own file", lambda: Path(request["staged"]).read_text())
attempt("own output", lambda: (Path(request["scratch"]) / "a.jpg").write_text("x"))
attempt("other file", lambda: Path({str(other)!r}).read_text())
attempt("change own", lambda: Path(request["staged"]).write_text("changed"))
attempt("write into own", lambda: open(request["staged"], "r+b"))
attempt("write into other", lambda: open({str(other)!r}, "r+b"))
attempt("remove own", lambda: os.unlink(request["staged"]))
attempt("change other", lambda: Path({str(other)!r}).write_text("changed"))
attempt("cut other", lambda: os.truncate({str(other)!r}, 0))
attempt("open other", lambda: os.chmod({str(other)!r}, 0o777))
attempt("take other", lambda: os.chown({str(other)!r}, os.getuid(), os.getgid()))
attempt("date other", lambda: os.utime({str(other)!r}, (0, 0)))
attempt("new file", lambda: Path({str(tmp_path / "new")!r}).write_text("new"))
attempt("move out", lambda: os.rename("a.jpg", {str(tmp_path / "new")!r}))
attempt("checkout", lambda: Path({str(ROOT / "pyproject.toml")!r}).read_text())
attempt("library", lambda: Path({os.__file__!r}).read_text()[:9])
attempt("machine", lambda: Path("/etc/passwd").read_text()[:9])
attempt("listing", lambda: os.listdir({str(tmp_path)!r}))
attempt("link", lambda: os.symlink({str(other)!r}, Path(request["scratch"]) / "b.jpg"))
attempt("hard link", lambda: os.link(request["staged"], Path(request["scratch"]) / "c.jpg"))
attempt("itself", lambda: Path("/proc/self/maps").read_bytes()[:9])
attempt("its memory", lambda: open("/proc/self/mem", "r+b"))
attempt("parent", lambda: Path(f"/proc/{{os.getppid()}}/environ").read_bytes())
""",
    )
    holds(seen.pop("held"), "files")
    assert (seen.pop("own file"), seen.pop("own output")) == ("staged", "1")
    assert len(seen) == 21
    assert {name for name, result in seen.items() if result not in REFUSED} == set()
    assert other.read_text() == "somebody else's"


async def test_a_child_has_no_network_and_starts_no_process(way: str, tmp_path: Path) -> None:
    seen = await probe(
        way,
        tmp_path,
        """
confine()
attempt("tcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("unix", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
attempt("pair", socket.socketpair)
attempt("fork", os.fork)
attempt("exec", lambda: os.execv("/bin/true", ["/bin/true"]))
attempt("spawn", lambda: subprocess.run(["/bin/true"]))
thread = threading.Thread(target=lambda: attempt("thread", lambda: "runs"))
thread.start(); thread.join()
""",
    )
    holds(seen["held"], "network")
    assert seen.pop("thread") == "runs"
    assert set(seen) == {"held", "tcp", "udp", "unix", "pair", "fork", "exec", "spawn"}
    assert all(result in REFUSED for name, result in seen.items() if name != "held")


async def test_a_child_writes_no_endless_file_opens_few_and_leaves_no_core(
    way: str, tmp_path: Path
) -> None:
    seen = await probe(
        way,
        tmp_path,
        """
status = os.open("/proc/self/status", os.O_RDONLY)
confine()
large = open("large", "wb")
attempt("as much as it may", lambda: large.truncate(FILE_BYTES))
attempt("a byte more", lambda: large.truncate(FILE_BYTES + 1))
def open_all():
    kept = []
    try:
        while len(kept) < 1000:
            kept.append(os.open(request["staged"], os.O_RDONLY))
    except OSError:
        pass
    for each in kept:
        os.close(each)
    return kept and kept[-1]
attempt("last open file", open_all)
seen["limits"] = {
    name: resource.getrlimit(getattr(resource, name))
    for name in ("RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_AS")
}
seen["privileges"] = os.read(status, 10_000).decode().partition("NoNewPrivs:")[2].split()[0]
seen["asked"] = request["cpu_seconds"]
""",
    )
    assert seen["as much as it may"] == str(confine.FILE_BYTES)
    assert seen["a byte more"] == "EFBIG"
    assert seen["last open file"] == str(confine.OPEN_FILES - 1)
    assert seen["limits"] == {
        "RLIMIT_CORE": [0, 0],
        "RLIMIT_CPU": [seen["asked"], seen["asked"] + 1],
        "RLIMIT_AS": [confine.MEMORY_BYTES] * 2,
    }
    assert seen["privileges"] == "1", "no program could give it any back"


async def test_a_child_inherits_nothing_but_its_three_streams(way: str, tmp_path: Path) -> None:
    seen = await probe(
        way,
        tmp_path,
        """
import stat
for number in range(1024):
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        continue
    seen[str(number)] = "socket" if stat.S_ISSOCK(mode) else "no socket"
""",
    )
    assert seen == {
        "0": "no socket",
        "1": "no socket" if way == "forked" else ANY,
        "2": "no socket",
    }


AGAINST_OTHERS = """
def by(x86_64, aarch64, *arguments):
    import platform
    return call(x86_64 if platform.machine() == "x86_64" else aarch64, *arguments)
room = ctypes.create_string_buffer(64)
def owned_pipe():
    import fcntl
    fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, victim)
attempt("kill", lambda: os.kill(victim, 0))
attempt("tkill", lambda: by(200, 130, victim, 0))
attempt("tgkill", lambda: by(234, 131, victim, victim, 0))
attempt("kill all", lambda: os.kill(-victim, 0))
attempt("rt_sigqueueinfo", lambda: by(129, 138, victim, 0, room))
attempt("owner of a pipe", owned_pipe)
attempt("pidfd_open", lambda: os.pidfd_open(victim))
attempt("ptrace", lambda: by(101, 117, 0x4206, victim, 0, 0))
attempt("process_vm_readv", lambda: by(310, 270, victim, None, 0, None, 0, 0))
attempt("process_vm_writev", lambda: by(311, 271, victim, None, 0, None, 0, 0))
attempt("kcmp", lambda: by(312, 272, victim, victim, 1, 0, 0))
attempt("prlimit", lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE))
attempt("affinity", lambda: os.sched_setaffinity(victim, os.sched_getaffinity(victim)))
attempt("scheduler", lambda: os.sched_setscheduler(victim, 0, os.sched_param(0)))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, victim, 5))
attempt("group", lambda: os.setpgid(0, os.getpgid(victim)))
"""


async def victim() -> asyncio.subprocess.Process:
    """Somebody else's process, which anybody but a confined child may do things to."""
    return await asyncio.create_subprocess_exec("sleep", "60")


async def test_a_child_reaches_neither_its_siblings_nor_its_parent(
    way: str, tmp_path: Path
) -> None:
    sibling = await victim()
    try:
        for number, pid in enumerate((str(sibling.pid), "os.getppid()")):
            folder = tmp_path / str(number)
            folder.mkdir()
            seen = await probe(way, folder, f"victim = {pid}\nconfine()\n{AGAINST_OTHERS}")
            holds(seen.pop("held"), "processes")
            assert len(seen) == 16
            assert {name for name, result in seen.items() if result not in REFUSED} == set()
    finally:
        sibling.kill()
        await sibling.wait()


async def test_where_landlock_keeps_no_signals_in_the_filter_alone_does(tmp_path: Path) -> None:
    """As on kernels before 6.12."""
    other = await victim()
    filtered = (
        "from worker.decoder.seccomp import allow_only_decoding\n"
        "seen['held'] = 'processes' if allow_only_decoding() else ''\n"
    )
    try:
        seen = await probe("fresh", tmp_path, f"victim = {other.pid}\n{filtered}{AGAINST_OTHERS}")
    finally:
        other.kill()
        await other.wait()
    holds(seen.pop("held"), "processes")
    assert len(seen) == 16
    assert {name for name, result in seen.items() if result not in REFUSED} == set()


async def test_all_of_that_would_work_on_a_child_that_isnt_confined(tmp_path: Path) -> None:
    other = await victim()
    try:
        seen = await probe("fresh", tmp_path, f"victim = {other.pid}\n{AGAINST_OTHERS}")
    finally:
        other.kill()
        await other.wait()
    works = {name for name, result in seen.items() if result not in REFUSED}
    assert works >= {"kill", "tkill", "tgkill", "owner of a pipe", "prlimit", "affinity"}


SYSTEM_CALLS = {
    "shmget": (29, 194, 0, 4096, 0o1600),
    "msgget": (68, 186, 0, 0o1600),
    "semget": (64, 190, 0, 1, 0o1600),
    "mq_open": (240, 180, "b'x'", 0o102, 0o600, 0),
    "memfd_create": (319, 279, "b'x'", 0),
    "io_uring_setup": (425, 425, 1, "room"),
    "bpf": (321, 280, 0, "room", 64),
    "perf_event_open": (298, 241, "room", 0, -1, -1, 0),
    "userfaultfd": (323, 282, 0),
    "keyctl": (250, 219, 0, -3, 0),
    "add_key": (248, 217, "b'user'", "b'x'", "b'y'", 1, -3),
    "mount": (165, 40, "b'none'", "b'/'", "b'tmpfs'", 0, 0),
    "umount": (166, 39, "b'/nowhere'", 0),
    "open_tree": (428, 428, -100, "b'/'", 0),
    "unshare": (272, 97, 0x10000000),
    "setns": (308, 268, 0, 0),
    "pidfd_getfd": (438, 438, 0, 0, 0),
    "pidfd_send_signal": (424, 424, 0, 0, 0, 0),
    "name_to_handle_at": (303, 264, -100, "b'.'", "room", "room", 0),
    "personality": (135, 92, 0xFFFFFFFF),
    "setrlimit": (160, 164, 7, "room"),
    "set a parent's death": (157, 167, 1, 0, 0, 0, 0),
    "init_module": (175, 105, "room", 0, "b''"),
    "signals for a terminal": (16, 29, 0, 0x5452, "room"),
    "a terminal's input": (16, 29, 0, 0x5412, "room"),
}


async def test_a_child_cant_call_what_decoding_doesnt_need(way: str, tmp_path: Path) -> None:
    code = AGAINST_OTHERS.partition("def owned_pipe")[0] + "confine()\n"
    for name, numbers in SYSTEM_CALLS.items():
        arguments = ", ".join(map(str, numbers))
        code += f"attempt({name!r}, lambda: by({arguments}))\n"
    seen = await probe(way, tmp_path, code)
    holds(seen.pop("held"), "processes")
    assert seen == dict.fromkeys(SYSTEM_CALLS, ANY)
    assert {name for name, result in seen.items() if result not in REFUSED} == set()


async def test_a_child_may_end_itself_as_a_library_does_that_finds_itself_broken(
    way: str, scratch: Path
) -> None:
    failure = await failure_of(way, scratch, "confine()\nos.abort()")
    assert failure.detail.startswith("exit status -6")


async def test_the_real_child_says_what_holds_it(
    decoder: Decoder, way: str, tmp_path: Path, scratch: Path
) -> None:
    processed = await run(decoder, stage(tmp_path, images.jpeg()), scratch)
    probed = tmp_path / "probe"
    probed.mkdir()
    possible = await probe(way, probed, "confine()")
    assert processed.confinement == set(filter(None, str(possible["held"]).split(",")))


FACTS = {
    "content_type": "image/jpeg",
    "size": 5,
    "sha256": "0" * 64,
    "width": 1,
    "height": 1,
    "pages": None,
}
ACCEPTED: dict[str, object] = {
    "result": "accepted",
    "detected_type": "image/jpeg",
    "object": FACTS,
    "object_is_staged": False,
    "derivatives": {},
    "original": None,
    "notices": [],
    "confinement": [],
}


@pytest.mark.parametrize("trick", ["os.symlink(secret, path)", "os.mkdir(path)", "pass"])
async def test_an_output_that_is_no_plain_file_is_not_taken(
    way: str, tmp_path: Path, scratch: Path, trick: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("12345")
    code = (
        f"secret, path = {str(secret)!r}, {str(scratch / 'headshot.jpg')!r}\n{trick}\n"
        f"print(json.dumps({ACCEPTED!r}))"
    )
    assert (await failure_of(way, scratch, code)).cause == "decoder"


async def test_what_a_child_made_that_its_field_doesnt_ask_for_is_not_put(
    way: str, tmp_path: Path, scratch: Path
) -> None:
    made = dict.fromkeys(("thumb", "../../elsewhere", "huge"), FACTS)
    answer = ACCEPTED | {"derivatives": made, "original": FACTS}
    code = (
        "for name in ('headshot', 'headshot-thumb', 'headshot-huge'):\n"
        "    Path(f'{name}.jpg').write_text('12345')\n"
        f"print(json.dumps({answer!r}))"
    )
    async with decoder_of(way, code) as decoder:
        thumb = {"thumb": {"size": 20}}
        processed = await run(decoder, stage(tmp_path, b"12345"), scratch, derivatives=thumb)
    assert [each.name for each in processed.outputs] == ["headshot.jpg", "headshot-thumb.jpg"]


async def test_several_children_run_side_by_side(decoder: Decoder, tmp_path: Path) -> None:
    async def one(number: int) -> Processed:
        scratch = tmp_path / str(number)
        scratch.mkdir()
        return await run(decoder, stage(scratch, images.jpeg()), scratch)

    processed = await asyncio.gather(*(one(number) for number in range(3)))
    assert len({each.object.path for each in processed}) == 3
