"""The jobs on the queue: what wakes a worker up, and nothing more.

A job carries ids, never rights and never bytes. Losing one loses nothing: the api's sweep
enqueues the upload again.
"""

import json
from typing import Any

from pydantic import BaseModel

QUEUE_NAME = "longshore:jobs"
PROMOTE = "promote"
CLEAN = "clean"
BELL = "longshore:bell"
"""A channel of Redis on which the api says that it has enqueued something. Nothing depends on it:
workers look at the queue now and then all the same."""


class PromoteJob(BaseModel):
    """Move one upload from the volume to the bucket."""

    v: int = 1
    upload_id: str
    wake: int


def promote_job_id(upload_id: str, wake: int) -> str:
    """A fresh id for each wake-up.

    arq refuses an id whose job, in-progress key or kept result still exists, so a worker that
    was killed before its claim would otherwise block its own re-enqueue for minutes.
    """
    return f"{upload_id}:{wake}"


def serialize(job: dict[str, Any]) -> bytes:
    """JSON in place of arq's pickle: whoever can write to Redis must not run code in the worker."""
    return json.dumps(job, default=str).encode()


def deserialize(raw: bytes) -> dict[str, Any]:
    job: dict[str, Any] = json.loads(raw)
    return job
