"""The API's own description, as what every answer is held against."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import schemathesis
from schemathesis.schemas import BaseSchema

HEADERS_THAT_SAY_SOMETHING = {
    "allow",
    "etag",
    "location",
    "preference-applied",
    "retry-after",
    "www-authenticate",
}


class Description:
    """What a listener's `/openapi.json` allows it to answer."""

    def __init__(self, url: str) -> None:
        document = httpx.get(f"{url}/openapi.json", timeout=60, trust_env=False).json()
        self._schema: BaseSchema = schemathesis.openapi.from_dict(document)
        self.origin = _origin(url)

    def check(self, response: httpx.Response) -> None:
        """Raise `AssertionError` where the answer has a status, a header or a body that the
        description doesn't give its operation. Addresses that it doesn't have are let pass."""
        request = response.request
        method = "GET" if request.method == "HEAD" else request.method
        path = urlsplit(str(request.url)).path
        operation = self._schema.find_operation_by_path(method, path)  # type: ignore[attr-defined] # OpenAPI's has it
        if operation is None or response.status_code == httpx.codes.METHOD_NOT_ALLOWED:
            return
        declared: dict[str, Any] = operation.definition.raw["responses"]
        label = f"{method} {operation.path} → {response.status_code}"
        assert str(response.status_code) in declared, f"not described: {label}"
        named = {name.lower() for name in declared[str(response.status_code)].get("headers", {})}
        unnamed = (HEADERS_THAT_SAY_SOMETHING & set(response.headers)) - named
        assert not unnamed, f"headers not described: {label} {unnamed}"
        if request.method != "HEAD":
            operation.validate_response(_without_sent_body(response))


def _without_sent_body(response: httpx.Response) -> httpx.Response:
    """The same answer, to a request whose streamed body nobody asks for again."""
    request = httpx.Request(response.request.method, response.request.url)
    copy = httpx.Response(
        response.status_code, headers=response.headers, content=response.content, request=request
    )
    copy.elapsed = timedelta(0)
    return copy


def _origin(url: str) -> tuple[str, str]:
    return urlsplit(url).scheme, urlsplit(url).netloc


def of_same_origin(description: Description, response: httpx.Response) -> bool:
    return _origin(str(response.request.url)) == description.origin
