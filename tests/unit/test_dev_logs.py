import json
from datetime import datetime
from pathlib import Path

from dev.logs import LONGEST, ROTATE_ABOVE, LogFile, readable

TIMESTAMP = "2026-11-22T12:01:07.123456Z"


def line(**record: str) -> str:
    return json.dumps({"timestamp": TIMESTAMP, "level": "info"} | record)


def transition(**more: str) -> str:
    step = {"upload_id": "upl_ab", "field": "headshot", "from": "staged", "to": "processing"}
    return line(event="upload_transition", **step, **more)


def test_an_uploads_step_is_one_readable_line_in_local_time() -> None:
    local = datetime.fromisoformat(TIMESTAMP).astimezone().strftime("%H:%M:%S")

    assert readable("api", transition()) == f"{local} upl_ab headshot staged → processing"


def test_a_rejection_shows_its_code() -> None:
    shown = readable("api", transition(code="file-corrupt"))

    assert shown
    assert shown.endswith("processing (file-corrupt)")


def test_warnings_and_errors_are_shown_short_with_the_last_line_of_a_traceback() -> None:
    error = line(event="put failed", level="error", exception="Traceback ...\nOSError: no\n")

    assert readable("worker", error) == "worker error: put failed OSError: no"
    assert len(readable("worker", line(event="x" * 999, level="warning")) or "") == LONGEST


def test_ordinary_lines_stay_in_the_log() -> None:
    assert readable("api", line(event="request")) is None
    assert readable("api", "plain words") is None
    assert readable("api", "{not json") is None
    assert readable("redis", "1:M 22 Nov 2026 13:06:22.638 # WARNING overcommit, may fail") is None
    assert readable("redis", "1:M 22 Nov 2026 13:06:22.638 # Server initialized") is None


def test_trouble_of_redis_and_the_store_is_shown() -> None:
    redis = "1:M 22 Nov 2026 13:06:22.638 # Error writing to the AOF file: No space left"
    s3 = "E1122 12:50:58.490528 store.go:12 no space left on device"

    assert readable("redis", redis) == "redis: Error writing to the AOF file: No space left"
    assert readable("s3", s3) == "s3: no space left on device"


def test_only_new_whole_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    path.write_text("of an earlier run\n")
    log = LogFile(path)
    with path.open("a") as file:
        file.write("one\ntw")
        file.flush()
        assert log.new_lines() == ["one"]
        file.write("o\n")
        file.flush()
        assert log.new_lines() == ["two"]

    assert log.last_lines(5) == ["one", "two"]


def test_a_log_that_grew_large_is_put_aside_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    path.write_bytes(b"x" * (ROTATE_ABOVE + 1))

    LogFile(path)

    assert path.stat().st_size == 0
    assert (tmp_path / "api.log.1").stat().st_size > ROTATE_ABOVE
