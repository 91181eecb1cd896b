"""The child that decodes: what it may do, and what happens when it misbehaves."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shared.policy import FilePolicy
from shared.status import Stage
from tests.support import images
from worker import sandbox
from worker.errors import FileRejected, TransientError
from worker.sandbox import Processed, process

ROOT = Path(__file__).parents[2]
ACCEPT = ("image/jpeg", "image/png", "application/pdf")

PROBE = """
import json, os, sys
from pathlib import Path
request = json.load(sys.stdin)
seen = {}
def attempt(name, call):
    try:
        seen[name] = str(call())
    except BaseException as error:
        seen[name] = type(error).__name__
def answer():
    verdict = {"result": "rejected", "code": "probe", "params": seen, "detected_type": None}
    print(json.dumps(verdict))
def confine():
    from worker.decoder.confine import confine
    seen["held"] = ",".join(confine(Path(request["staged"]), Path(request["scratch"]),
        cpu_seconds=request["cpu_seconds"], parent_pid=request["parent_pid"]))
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def stage(folder: Path, content: bytes) -> Path:
    path = folder / "upl_x"
    path.write_bytes(content)
    return path


async def run(staged: Path, scratch: Path, *, seconds: float = 20, **rules: Any) -> Processed:
    known: dict[str, Any] = {"accept": ACCEPT, "max_bytes": 10**8}
    policy = FilePolicy.model_validate(known | rules)
    return await process(staged, scratch, policy=policy, field="headshot", deadline_seconds=seconds)


def behave(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let the child do `code` in place of its work."""
    command = (sys.executable, "-P", "-s", "-c", PROBE + code)
    monkeypatch.setattr(sandbox, "_COMMAND", command)


async def probe(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> dict[str, Any]:
    """What the child saw while it did `code`."""
    behave(monkeypatch, code + "\nanswer()")
    scratch = folder / "scratch"
    scratch.mkdir()
    with pytest.raises(FileRejected) as verdict:
        await run(stage(folder, b"staged"), scratch)
    return verdict.value.params


def alive(pid: int) -> bool:
    """Whether the process runs: an orphan that ended may wait for somebody to bury it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


async def ends(pid: int) -> bool:
    """Whether the process ends within a second."""
    for _ in range(100):
        if not alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


async def pid_in(scratch: Path) -> int:
    """The id that the child left in its scratch folder."""
    for _ in range(1000):
        path = scratch / "pid"
        if path.exists() and path.read_text():
            return int(path.read_text())
        await asyncio.sleep(0.01)
    raise AssertionError("no child has begun")


LEAVE_PID = "Path('pid').write_text(str(os.getpid()))\n"


async def test_an_image_becomes_an_object_and_its_derivatives(
    tmp_path: Path, scratch: Path
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
    processed = await process(
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
    assert not processed.object_is_staged
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


async def test_a_pdf_is_its_own_object_unchanged(tmp_path: Path, scratch: Path) -> None:
    staged = stage(tmp_path, images.pdf(3))
    derivatives = {"thumb": {"size": 20}}
    processed = await run(staged, scratch, keep_original=True, derivatives=derivatives)
    assert processed.object_is_staged
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
    tmp_path: Path, scratch: Path, content: bytes, detected: str | None
) -> None:
    with pytest.raises(FileRejected) as verdict:
        await run(stage(tmp_path, content), scratch)
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
    tmp_path: Path, scratch: Path, content: bytes, code: str
) -> None:
    with pytest.raises(FileRejected) as verdict:
        await run(stage(tmp_path, content), scratch)
    assert verdict.value.code == code
    assert verdict.value.detected_type in ACCEPT


@pytest.mark.parametrize(
    "code",
    [
        "os.kill(os.getpid(), 9)",
        "os.abort()",
        "sys.exit(1)",
        "pass",
        "print('rubbish')",
        "print(json.dumps({'stage': 'lunch'}))",
        "print(json.dumps(['result']))",
        "print(json.dumps({'result': 'accepted', 'detected_type': 'text/html'}))",
        "print(json.dumps({'result': 'rejected', 'code': 'No Such Code!', 'params': {}}))",
        "print('x' * 10_000_000)",
        "answer(); sys.exit(1)",
        "raise MemoryError",
        "confine(); b = bytearray(3 << 30); answer()",
    ],
)
async def test_a_child_that_fails_is_tried_again_and_counted(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    behave(monkeypatch, code)
    with pytest.raises(TransientError) as failure:
        await run(stage(tmp_path, b"staged"), scratch)
    assert (failure.value.cause, failure.value.counted) == ("decoder", True)


async def test_what_a_dying_child_said_is_kept_for_the_log(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, "sys.exit('out of cheese')")
    with pytest.raises(TransientError, match="out of cheese"):
        await run(stage(tmp_path, b"staged"), scratch)


async def test_a_child_is_killed_at_its_deadline_with_all_it_started(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, "if os.fork() == 0:\n    " + LEAVE_PID + "import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(TransientError) as failure:
        await run(stage(tmp_path, b"staged"), scratch, seconds=1)
    assert time.monotonic() - started < 3
    assert (failure.value.cause, failure.value.counted) == ("decoder", True)
    assert await ends(await pid_in(scratch))


async def test_the_real_child_is_killed_at_its_deadline(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(TransientError) as failure:
        await run(stage(tmp_path, images.png((400, 300))), scratch, seconds=0.01)
    assert failure.value.cause == "decoder"


async def test_a_cancelled_parent_leaves_no_child(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, LEAVE_PID + "import time; time.sleep(60)")
    working = asyncio.create_task(run(stage(tmp_path, b"staged"), scratch))
    child = await pid_in(scratch)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert not alive(child)


async def test_a_killed_parent_leaves_no_child(tmp_path: Path, scratch: Path) -> None:
    child_code = PROBE + "confine();" + LEAVE_PID + "import time; time.sleep(60)"
    parent_code = f"""
import asyncio
from pathlib import Path
from shared.policy import FilePolicy
from worker import sandbox
sandbox._COMMAND = {(sys.executable, "-P", "-s", "-c", child_code)!r}
policy = FilePolicy(accept=("image/png",), max_bytes=1)
asyncio.run(sandbox.process(Path({str(stage(tmp_path, b"x"))!r}), Path({str(scratch)!r}),
    policy=policy, field="f", deadline_seconds=60))
"""
    environment = {"PYTHONPATH": str(ROOT)}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent_code, env=environment
    )
    child = await pid_in(scratch)
    assert alive(child)
    parent.kill()
    await parent.wait()
    assert await ends(child)


async def test_a_child_doesnt_see_its_parents_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "very-secret")
    seen = await probe(monkeypatch, tmp_path, "seen.update(os.environ)")
    assert not [name for name in seen if name.startswith(("S3", "AWS"))]
    assert "very-secret" not in json.dumps(seen)


async def test_a_child_reads_nothing_but_its_file_and_writes_nothing_but_its_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "upl_other"
    other.write_text("somebody else's")
    seen = await probe(
        monkeypatch,
        tmp_path,
        f"""
confine()
attempt("own file", lambda: Path(request["staged"]).read_text())
attempt("own output", lambda: (Path(request["scratch"]) / "a.jpg").write_text("x"))
attempt("other file", lambda: Path({str(other)!r}).read_text())
attempt("change own", lambda: Path(request["staged"]).write_text("changed"))
attempt("change other", lambda: Path({str(other)!r}).write_text("changed"))
attempt("new file", lambda: Path({str(tmp_path / "new")!r}).write_text("new"))
attempt("checkout", lambda: Path({str(ROOT / "pyproject.toml")!r}).read_text())
attempt("listing", lambda: os.listdir({str(tmp_path)!r}))
attempt("link", lambda: os.symlink({str(other)!r}, Path(request["scratch"]) / "b.jpg"))
attempt("parent", lambda: Path(f"/proc/{{os.getppid()}}/environ").read_bytes())
""",
    )
    if "files" not in seen["held"]:
        pytest.skip("this kernel has no Landlock")
    assert (seen["own file"], seen["own output"]) == ("staged", "1")
    refused = {name for name, result in seen.items() if result == "PermissionError"}
    assert refused == {
        "other file", "change own", "change other", "new file", "checkout", "listing", "link",
        "parent",
    }  # fmt: skip


async def test_a_child_has_no_network_and_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await probe(
        monkeypatch,
        tmp_path,
        """
confine()
import socket, subprocess, threading
attempt("tcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("unix", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
attempt("fork", os.fork)
attempt("exec", lambda: os.execv("/bin/true", ["/bin/true"]))
attempt("spawn", lambda: subprocess.run(["/bin/true"]))
thread = threading.Thread(target=lambda: attempt("thread", lambda: "runs"))
thread.start(); thread.join()
""",
    )
    if "network" not in seen["held"]:
        pytest.skip("this kernel has no seccomp")
    assert seen.pop("thread") == "runs"
    assert set(seen) == {"held", "tcp", "udp", "unix", "fork", "exec", "spawn"}
    assert all(result == "PermissionError" for name, result in seen.items() if name != "held")


async def test_the_real_child_says_what_holds_it(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processed = await run(stage(tmp_path, images.jpeg()), scratch)
    probed = tmp_path / "probe"
    probed.mkdir()
    possible = await probe(monkeypatch, probed, "confine()")
    assert processed.confinement == set(filter(None, str(possible["held"]).split(",")))


@pytest.mark.parametrize("trick", ["os.symlink(secret, path)", "os.mkdir(path)", "pass"])
async def test_an_output_that_is_no_plain_file_is_not_taken(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, trick: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("12345")
    facts = {
        "content_type": "image/jpeg",
        "size": 5,
        "sha256": "0" * 64,
        "width": 1,
        "height": 1,
        "pages": None,
    }
    answer = {
        "result": "accepted",
        "detected_type": "image/jpeg",
        "object": facts,
        "object_is_staged": False,
        "derivatives": {},
        "original": None,
        "notices": [],
        "confinement": [],
    }
    behave(
        monkeypatch,
        f"secret, path = {str(secret)!r}, {str(scratch / 'headshot.jpg')!r}\n{trick}\n"
        f"print(json.dumps({answer!r}))",
    )
    with pytest.raises(TransientError) as failure:
        await run(stage(tmp_path, images.jpeg()), scratch)
    assert failure.value.cause == "decoder"


async def test_several_children_run_side_by_side(tmp_path: Path) -> None:
    async def one(number: int) -> Processed:
        scratch = tmp_path / str(number)
        scratch.mkdir()
        return await run(stage(scratch, images.jpeg()), scratch)

    processed = await asyncio.gather(*(one(number) for number in range(3)))
    assert len({each.object.path for each in processed}) == 3
