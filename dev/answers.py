"""How to tell that each part answers."""

import asyncio
import json
from contextlib import suppress

PATIENCE = 2.0


async def http_ok(port: int, path: str) -> bool:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    return b" 200 " in (await _ask(port, request))[:16]


async def failed_checks(port: int) -> list[str]:
    """The checks of `/readyz` that don't hold."""
    request = f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    _, _, body = (await _ask(port, request)).partition(b"\r\n\r\n")
    try:
        return [name for name, holds in json.loads(body)["checks"].items() if not holds]
    except (ValueError, KeyError):
        return ["no answer"]


async def redis_pong(port: int, password: str) -> bool:
    return b"+PONG" in await _ask(port, f"AUTH {password}\r\nPING\r\nQUIT\r\n")


async def _ask(port: int, request: str) -> bytes:
    """Send, and read until the other side closes; nothing when it doesn't answer."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request.encode("ascii"))
                return await reader.read()
            finally:
                writer.close()
    return b""
