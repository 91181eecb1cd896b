"""What an error of the store means to whoever runs it: the setting, and what to do."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)

from shared.finding import Finding, wrong
from shared.reaching import address, why
from shared.store_answers import meaning, means_us
from worker.object_store.client import StoreSettings
from worker.object_store.faults import status_of

ENDPOINT = "S3_ENDPOINT_URL"
_REFUSED = {401, 403}
_BROKEN = 500
_PERMISSIONS = {
    "PutObject": "s3:PutObject on its objects",
    "HeadObject": "s3:GetObject on its objects",
    "GetObject": "s3:GetObject on its objects",
    "DeleteObject": "s3:DeleteObject on its objects",
    "CreateMultipartUpload": "s3:PutObject on its objects",
    "UploadPart": "s3:PutObject on its objects",
    "CompleteMultipartUpload": "s3:PutObject on its objects",
    "AbortMultipartUpload": "s3:AbortMultipartUpload on its objects",
    "ListObjectsV2": "s3:ListBucket on the bucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads on the bucket",
}
"""What the worker's calls need, by their names."""


def explain(error: BaseException, settings: StoreSettings) -> Finding:
    """The finding for a call that came to nothing."""
    if isinstance(error, ClientError):
        return _answered(error, settings)
    if isinstance(error, ParamValidationError):
        return wrong("S3_BUCKET", f"{settings.bucket!r} is no name of a bucket; correct it")
    where = address(settings.endpoint_url, 443) if settings.endpoint_url else "AWS S3"
    return wrong(ENDPOINT, f"{_unanswered(error, where)}; start the store, or correct the address")


def _answered(error: ClientError, settings: StoreSettings) -> Finding:
    code = error.response.get("Error", {}).get("Code", "")
    status = status_of(error)
    if means_us(code):
        return meaning(code, endpoint=ENDPOINT, bucket=settings.bucket, region=settings.region)
    operation = error.operation_name
    if status in _REFUSED:
        missing = _PERMISSIONS.get(operation, f"{operation} on the bucket")
        refused = f"the store refuses {operation} in bucket {settings.bucket!r} ({code})"
        return wrong("S3_ACCESS_KEY_ID", f"{refused}; allow {missing}")
    if status >= _BROKEN:
        return wrong(ENDPOINT, f"the store fails at {operation} ({status} {code}); look after it")
    return wrong(ENDPOINT, f"the store can't do {operation} ({status} {code}); take one that can")


def _unanswered(error: BaseException, where: str) -> str:
    if isinstance(error, SSLError):
        return f"the certificate of {where} isn't trusted"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError):
        return f"{where} doesn't answer in time"
    away = why(error, where)
    if away is None and isinstance(error, EndpointConnectionError):
        away = f"nothing listens at {where}"
    if away is None and isinstance(error, BotoCoreError):
        away = f"{where} can't be used ({error})"
    return away or f"{where} doesn't answer like an S3 store ({type(error).__name__})"
