"""What polling costs at least: a route that answers from memory. Run as
`python -m dev.bench.bare_route PORT FILE`, where `FILE` has the answers by their paths, as JSON.

Served as Longshore's api is, by uvicorn with uvloop and httptools, without an access log.
"""

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

ANSWERS: dict[str, Any] = {
    path: json.loads(body) for path, body in json.loads(Path(sys.argv[2]).read_text()).items()
}

app = FastAPI()


@app.get("/readyz")
async def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.get("/v1/uploads/{upload_id}")
async def read_upload(upload_id: str) -> JSONResponse:
    return JSONResponse(ANSWERS[f"/v1/uploads/{upload_id}"])


@app.get("/v1/forms/{form_id}")
async def read_form(form_id: str) -> JSONResponse:
    return JSONResponse(ANSWERS[f"/v1/forms/{form_id}"])


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
