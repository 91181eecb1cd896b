"""A section saved the synchronous way: the request decodes, scales, puts to S3, then answers.

Run as `python -m dev.bench.synchronous_app PORT`, with the store in the environment. It makes what
Longshore's worker makes of a headshot: the photo without its metadata, and 1600, 800 and 200
pixels of it.
"""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import aioboto3
import uvicorn
from fastapi import FastAPI, Form, UploadFile
from fastapi.responses import HTMLResponse

from dev.bench.by_hand import with_pillow, with_pyvips


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """One client for the app's lifetime, so that its connections are kept."""
    async with aioboto3.Session().client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT_URL"],
        region_name=os.environ["S3_REGION"],
        aws_access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
    ) as app.state.s3:
        yield


app = FastAPI(lifespan=lifespan)

FIRST_SECTION = """<!doctype html>
<html lang="en" class="synchronous"><title>About you</title>
<form method="post" action="{action}" enctype="multipart/form-data">
<input id="full_name" name="full_name"><input id="email" name="email">
<input type="file" name="headshot"><button class="main">Next</button></form></html>"""
NEXT_SECTION = """<!doctype html>
<html lang="en"><title>Your licence</title><input id="licence_number"></html>"""


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.patch("/sections/{library}/{puts}")
async def save_section(
    library: str,
    puts: str,
    full_name: Annotated[str, Form()],
    email: Annotated[str, Form()],
    headshot: UploadFile,
) -> dict[str, str]:
    photo = await headshot.read()
    images = await asyncio.to_thread(LIBRARIES[library], photo)
    folder = uuid.uuid4().hex
    putting = [_put(f"synchronous/{folder}/{i}.jpg", image) for i, image in enumerate(images)]
    if puts == "at-once":
        await asyncio.gather(*putting)
    else:
        for put in putting:
            await put
    return {"full_name": full_name, "email": email, "headshot": folder}


@app.get("/{library}/{puts}", response_class=HTMLResponse)
async def first_section(library: str, puts: str) -> str:
    return FIRST_SECTION.format(action=f"/sections/{library}/{puts}")


@app.post("/sections/{library}/{puts}", response_class=HTMLResponse)
async def post_section(
    library: str,
    puts: str,
    full_name: Annotated[str, Form()],
    email: Annotated[str, Form()],
    headshot: UploadFile,
) -> str:
    """The same for a `<form>`: the next section is the answer."""
    await save_section(library, puts, full_name, email, headshot)
    return NEXT_SECTION


async def _put(key: str, image: bytes) -> None:
    await app.state.s3.put_object(
        Bucket=os.environ["S3_BUCKET"], Key=key, Body=image, ContentType="image/jpeg"
    )


LIBRARIES: dict[str, Callable[[bytes], list[bytes]]] = {
    "pyvips": with_pyvips,
    "pillow": with_pillow,
}

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
