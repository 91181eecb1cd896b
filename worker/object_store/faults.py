"""What an error of the S3 client means to us."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from shared.causes import Cause
from shared.store_answers import means_us
from worker.errors import KeyTaken, TransientError

STORE_ERRORS = (ClientError, BotoCoreError, aiohttp.ClientError, OSError)


@contextmanager
def as_transient() -> Iterator[None]:
    """Turn the client's errors into `TransientError("store")` or `("store-refused")`."""
    try:
        yield
    except ClientError as error:
        status, code = status_of(error), error.response.get("Error", {}).get("Code", "")
        refused = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or means_us(code)
        cause = Cause.STORE_REFUSED if refused else Cause.STORE
        detail = f"{error.operation_name}: {status} {code}"
        raise TransientError(cause, counted=False, detail=detail) from error
    except STORE_ERRORS as error:
        raise TransientError(Cause.STORE, counted=False, detail=repr(error)) from error


def concerns_store(error: TransientError) -> bool:
    """Whether the next put may well meet the same, whatever it puts."""
    return error.cause in (Cause.STORE, Cause.STORE_REFUSED) and not isinstance(error, KeyTaken)


def is_failure(status: int) -> bool:
    """Whether it says that the store itself is unwell, and not only that it won't do something."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED


def status_of(error: BaseException) -> int:
    """The HTTP status behind `error`, 0 when there was no answer."""
    if not isinstance(error, ClientError):
        return 0
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
