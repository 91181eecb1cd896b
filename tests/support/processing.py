"""Run a file through the room of its kind, in this process."""

from pathlib import Path

from shared.formats import FORMATS
from shared.policy import FilePolicy
from worker.formats.detect import detect
from worker.formats.families import check_accepted, process
from worker.formats.job import Job, Made


def process_bytes(folder: Path, content: bytes, accept: str, **policy: object) -> Made:
    """What is made of `content` in a field that accepts `accept`. Raises `FileRejected`."""
    staged, scratch = folder / "received", folder / "scratch"
    staged.write_bytes(content)
    scratch.mkdir(exist_ok=True)
    detected = detect(staged)
    check_accepted(detected, (accept,))
    assert detected is not None
    made = process(
        Job(
            staged=staged,
            scratch=scratch,
            field="document",
            policy=FilePolicy.model_validate({"accept": [accept], "max_bytes": 1 << 30, **policy}),
            format=FORMATS[detected],
            begin=lambda _: None,
        )
    )
    assert staged.read_bytes() == content
    return made
