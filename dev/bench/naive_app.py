"""What people write: `UploadFile` and a copy. Run as `python -m dev.bench.naive_app PORT FOLDER`.

Served as Longshore's api is, by uvicorn with uvloop and httptools, without an access log.
"""

import hashlib
import os
import shutil
import sys
import uuid
from pathlib import Path
from typing import BinaryIO

import uvicorn
from fastapi import FastAPI, UploadFile

CHUNK = 64 * 1024
"""What `shutil.copyfileobj` takes at a time."""
FOLDER = Path(sys.argv[2])

app = FastAPI()


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/uploads", status_code=202)
def upload(file: UploadFile) -> dict[str, str]:
    """Answer once the bytes are in the page cache: a power cut loses what was acknowledged."""
    name = uuid.uuid4().hex
    with (FOLDER / name).open("wb") as target:
        shutil.copyfileobj(file.file, target)
    return {"name": name}


@app.post("/durable", status_code=202)
def upload_durably(file: UploadFile) -> dict[str, str]:
    """The same, but answer only what a power cut can't undo: the file and its folder entry."""
    name = uuid.uuid4().hex
    with (FOLDER / name).open("wb") as target:
        shutil.copyfileobj(file.file, target)
        _make_durable(target)
    return {"name": name}


@app.post("/hashed", status_code=202)
def upload_durably_and_hash(file: UploadFile) -> dict[str, str]:
    """All that Longshore's answer says of the bytes: durable, and which ones they are."""
    name = uuid.uuid4().hex
    digest = hashlib.sha256()
    with (FOLDER / name).open("wb") as target:
        while data := file.file.read(CHUNK):
            digest.update(data)
            target.write(data)
        _make_durable(target)
    return {"name": name, "sha256": digest.hexdigest()}


def _make_durable(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
