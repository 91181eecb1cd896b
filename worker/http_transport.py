"""The connections of an httpx client, as aiohttp has them.

aiohttp is there for the object store anyway, and a call by it costs a third of the processor's time
that one by httpx's own connections does: a good part of what a small file costs.
"""

import ssl
from types import TracebackType
from typing import Self

import aiohttp
import httpx

KEPT_SECONDS = 4.0
"""An idle connection. The api closes its own after five seconds, whatever call is on its way."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """To be opened before use. Answers come whole, and failures as `httpx.TransportError`.

    `sni_hostname` among a request's extensions is the name on the server's certificate. Timeouts
    are the caller's.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Without `tls`, certificates are those that httpx itself trusts."""
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls, limit=0, keepalive_timeout=KEPT_SECONDS, use_dns_cache=False
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,  # httpx does
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._session:
            await self._session.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert self._session is not None  # noqa: S101 - it was opened
        try:
            async with self._session.request(
                request.method,
                str(request.url),
                headers=[
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in request.headers.raw
                ],
                data=await request.aread() or None,
                allow_redirects=False,
                server_hostname=request.extensions.get("sni_hostname"),
            ) as answer:
                return httpx.Response(
                    answer.status,
                    headers=answer.raw_headers,
                    content=await answer.read(),
                    request=request,
                )
        except aiohttp.ClientConnectorError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one
            raise httpx.NetworkError(f"{type(error).__name__}: {error}", request=request) from error
