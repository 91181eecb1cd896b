"""Where a request comes from: a cookie travels with every request of a browser, and a page of
another site could have made it."""

from urllib.parse import urlsplit

from starlette.requests import Request

from api.texts.errors import Problem


def check_origin(request: Request, public_url: str | None, *, must_be_named: bool) -> None:
    """Refuse a write that a page of another origin sent.

    Browsers name the origin of every POST in `Origin`; where something on the way took that out,
    `Referer` says it too. A request that names none comes from no browser: it passes unless
    `must_be_named`, as where a cookie is what lets it in. Raises `Problem` foreign-origin.
    """
    named = request.headers.get("origin") or request.headers.get("referer")
    if named is None and not must_be_named:
        return
    if named is None or not _is_ours(named, request, public_url):
        raise Problem("foreign-origin")


def is_our_page(request: Request, public_url: str | None) -> bool:
    """Whether a script or an element of a page of ours makes this request, or the person does.

    A write names its origin, as above. A read may not; browsers say who asks in `Sec-Fetch-Site`,
    which no script can change: `same-origin`, or `none` for a person's own doing. One that doesn't
    say is too old to, and withholds the cookie from other sites by itself (`SameSite`).
    """
    named = request.headers.get("origin")
    if named is None and request.method == "GET":
        return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    named = named or request.headers.get("referer")
    return named is not None and _is_ours(named, request, public_url)


def _is_ours(named: str, request: Request, public_url: str | None) -> bool:
    """Whether it is the origin of PUBLIC_URL, or of the host that was asked.

    Behind a proxy that ends TLS the request's own scheme is not the browser's, so for the host
    only name and port are compared.
    """
    scheme, host = _origin(named)
    if scheme not in ("http", "https") or not host:  # `null` among them: a sandbox, another site
        return False
    if public_url and (scheme, host) == _origin(public_url):
        return True
    return host == request.headers.get("host", "").lower()


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return "", ""
    host = parts.netloc.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ""))
    return parts.scheme, host
