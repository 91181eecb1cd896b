"""Pages of another site, which know the product only as something to post to."""

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self


class OtherSite:
    """Serves `pages` by their paths, without the query; what else is asked for is a page that
    shows its address. It has two names: one of another site than the stack's, one of the same."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.page))
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        port = self._server.server_address[1]
        self.origin = f"http://localhost:{port}"
        self.same_site = f"http://127.0.0.1:{port}"

    @property
    def origins(self) -> tuple[str, str]:
        return self.origin, self.same_site

    def page(self, address: str) -> str:
        shown = address.replace("&", "&amp;").replace("<", "&lt;")
        return self.pages.get(address.partition("?")[0], f"<p id=came>{shown}</p>")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(page: Callable[[str], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = f"<!doctype html><meta charset=utf-8>{page(self.path)}".encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """The tests' output is not for this."""

    return Handler
