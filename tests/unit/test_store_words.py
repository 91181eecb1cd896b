"""What an operator is told of a store: the setting that is meant, what is, and what to do."""

import ssl
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)

from worker.object_store.client import StoreSettings, open_client
from worker.object_store.words import explain

URL = "https://store.example:9000"
SETTINGS = StoreSettings("files", "eu-1", "key", "secret", endpoint_url=URL)
PERMISSIONS = {
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
    "HeadBucket": "HeadBucket on the bucket",
}
LOOK = "start the store, or correct the address"


def _answered(status: int, code: str, operation: str = "PutObject") -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item] # no more is read
        operation,
    )


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("operation", PERMISSIONS)
def test_a_call_that_is_refused_is_told_with_the_permission_it_needs(
    operation: str, status: int
) -> None:
    assert str(explain(_answered(status, "AccessDenied", operation), SETTINGS)) == (
        f"S3_ACCESS_KEY_ID: the store refuses {operation} in bucket 'files' (AccessDenied);"
        f" allow {PERMISSIONS[operation]}"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (_answered(404, "NoSuchBucket"), "S3_BUCKET: there is no bucket 'files'; make it, or correct the name"),
        (_answered(301, "PermanentRedirect"), "S3_REGION: eu-1 isn't the bucket's; correct it"),
        (_answered(403, "RequestTimeTooSkewed"), "S3_ENDPOINT_URL: its clock and this machine's differ; set both"),
        (_answered(500, "InternalError"), "S3_ENDPOINT_URL: the store fails at PutObject (500 InternalError); look after it"),
        (_answered(499, "Odd"), "S3_ENDPOINT_URL: the store can't do PutObject (499 Odd); take one that can"),
        (ClientError({}, "PutObject"), "S3_ENDPOINT_URL: the store can't do PutObject (0 ); take one that can"),
        (ParamValidationError(report="no"), "S3_BUCKET: 'files' is no name of a bucket; correct it"),
        (SSLError(endpoint_url=URL, error=ssl.SSLError()), f"S3_ENDPOINT_URL: the certificate of store.example:9000 isn't trusted; {LOOK}"),
        (ConnectTimeoutError(endpoint_url=URL), f"S3_ENDPOINT_URL: store.example:9000 doesn't answer in time; {LOOK}"),
        (ReadTimeoutError(endpoint_url=URL), f"S3_ENDPOINT_URL: store.example:9000 doesn't answer in time; {LOOK}"),
        (TimeoutError(), f"S3_ENDPOINT_URL: store.example:9000 doesn't answer in time; {LOOK}"),
        (EndpointConnectionError(endpoint_url=URL), f"S3_ENDPOINT_URL: nothing listens at store.example:9000; {LOOK}"),
        (ConnectionResetError(104, "x"), f"S3_ENDPOINT_URL: store.example:9000 breaks the connection off; {LOOK}"),
        (BotoCoreError(), f"S3_ENDPOINT_URL: store.example:9000 can't be used (An unspecified error occurred); {LOOK}"),
        (ValueError(), f"S3_ENDPOINT_URL: store.example:9000 doesn't answer like an S3 store (ValueError); {LOOK}"),
    ],
)  # fmt: skip # one table
def test_what_came_to_nothing_is_one_line_with_what_to_do(error: Exception, said: str) -> None:
    assert str(explain(error, SETTINGS)) == said


def test_without_an_address_of_its_own_the_store_is_aws() -> None:
    aws = StoreSettings("files", "eu-1", "key", "secret")
    assert str(explain(TimeoutError(), aws)).startswith("S3_ENDPOINT_URL: AWS S3 doesn't answer")


def test_an_address_without_a_port_is_that_of_tls() -> None:
    store = StoreSettings("files", "eu-1", "key", "secret", endpoint_url="https://store.example")
    assert "store.example:443 doesn't" in str(explain(TimeoutError(), store))


@pytest.mark.parametrize(
    ("url", "style", "is_signed"),
    [(None, "auto", False), (URL, "path", False), ("http://store.example", "path", True)],
)
async def test_a_store_is_given_so_long_and_asked_in_the_way_that_every_store_understands(
    url: str | None, style: str, *, is_signed: bool
) -> None:
    async with open_client(
        StoreSettings("files", "eu-1", "key", "secret", endpoint_url=url)
    ) as client:
        config: Any = client.meta.config  # the stubs know none of it
    assert (config.connect_timeout, config.read_timeout) == (5, 30), "seconds"
    assert config.max_pool_connections == 64
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    assert config.s3 == {"addressing_style": style, "payload_signing_enabled": is_signed}
    assert (config.proxies == {}) is is_signed, "in the clear a proxy would see files"
    assert client.meta.region_name == "eu-1"


def test_a_large_file_is_put_in_parts_of_eight_mebibytes_four_at_once_and_keeps_its_secret() -> (
    None
):
    assert (SETTINGS.part_bytes, SETTINGS.put_concurrency) == (8 * 1024 * 1024, 4)
    assert "secret" not in repr(SETTINGS)
