"""Each client of a trusted proxy has a share of the requests under way."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from api.http.connections import ShareRequests


async def test_a_client_has_its_share_again_and_no_more_once_a_request_is_answered() -> None:
    refused: list[str] = []
    go_on = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await go_on.wait()

    async def receive() -> Message:
        raise AssertionError("nobody asks")

    async def send(_message: Message) -> None:
        pass

    share = ShareRequests(app, 2, refused.append)

    async def ask(client: str) -> None:
        scope: Scope = {
            "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [],
            "client_address": client, "by_proxy": True,
        }  # fmt: skip # one line each would be a page
        await share(scope, receive, send)

    for _ in range(3):
        go_on.clear()
        refused.clear()
        asked = [asyncio.ensure_future(ask(client)) for client in "aaab"]
        await asyncio.sleep(0)
        assert refused == ["too-many-requests"], "the third of one, and nobody of another"
        go_on.set()
        await asyncio.gather(*asked)
