"""A request that says it brings a piece of a file, told from one that brings all of it."""

from collections.abc import Collection

from starlette.requests import Request

from api.receive.fragments import refuse_by_field, refuse_by_headers


def require_whole_files(request: Request, *, but: Collection[str] = ()) -> None:
    """Raise `Problem` fragment-not-supported, before the body is read, where the headers, `but` for
    some that the caller reads, or the query tell of a piece."""
    refuse_by_headers(request.headers, but=but)
    for name, value in request.query_params.multi_items():
        refuse_by_field(name, value)
