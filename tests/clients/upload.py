"""Python's clients: `upload.py LIBRARY post|put URL TOKEN FILE EXTENDED_NAME NAME_FILE`."""

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

library, how, address, token, path, extended, name_path = sys.argv[1:]
name = Path(name_path).read_text("utf-8")
content = Path(path).read_bytes()
headers = {"Authorization": f"Bearer {token}"}
if how == "put":
    headers["Content-Type"] = "image/jpeg"
    headers["Content-Disposition"] = f"attachment; filename*={extended}"
client: Any = importlib.import_module(library)


async def with_aiohttp() -> tuple[int, str]:
    data: Any = content
    if how == "post":
        data = client.FormData()
        data.add_field("file", content, filename=name, content_type="image/jpeg")
    method = how.upper()
    async with (
        client.ClientSession() as session,
        session.request(method, address, data=data, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


if library == "aiohttp":
    status, text = asyncio.run(with_aiohttp())
else:
    if how == "put":
        sent: dict[str, Any] = {"content" if library == "httpx" else "data": content}
    else:
        sent = {"files": {"file": (name, content, "image/jpeg")}}
    response = client.request(how.upper(), address, headers=headers, timeout=60, **sent)
    status, text = response.status_code, response.text
sys.stdout.buffer.write(f"{status}\n{text}".encode())
