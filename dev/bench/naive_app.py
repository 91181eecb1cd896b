"""What people write: `UploadFile` and a copy. Run as `python -m dev.bench.naive_app PORT FOLDER`.

Served as Longshore's api is, by uvicorn with uvloop and httptools, without an access log.
"""

import os
import shutil
import sys
import uuid
from pathlib import Path

import uvicorn
from fastapi import FastAPI, UploadFile

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
        target.flush()
        os.fsync(target.fileno())
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return {"name": name}


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
