"""Make the bucket on the local object store, unless it is there, and say who may follow its links.

Run in the services' environment, which has botocore: reads a request as JSON from stdin.
"""

import json
import sys
from http import HTTPStatus
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

CORS = [
    {
        "AllowedOrigins": ["*"],
        "AllowedMethods": ["GET", "HEAD"],
        "ExposeHeaders": ["Content-Disposition"],
        "MaxAgeSeconds": 3600,
    }
]
"""For scripts that follow a link: what opens an object is its signature, whoever asks. A browser
that was redirected from one origin over another calls its own `null`, so any is allowed."""


def client(service: str, request: dict[str, Any], key: dict[str, str]) -> Any:
    return get_session().create_client(
        service,
        region_name=request["region"],
        endpoint_url=request["endpoint_url"],
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=10),
    )


def provision(request: dict[str, Any]) -> None:
    s3 = client("s3", request, request["root"])
    try:
        s3.head_bucket(Bucket=request["bucket"])
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
            raise
        s3.create_bucket(Bucket=request["bucket"])
    s3.put_bucket_cors(Bucket=request["bucket"], CORSConfiguration={"CORSRules": CORS})


if __name__ == "__main__":
    try:
        provision(json.load(sys.stdin))
    except Exception as error:  # noqa: BLE001 - whatever it is, `up` shows it as one line and tries again
        sys.exit(f"{type(error).__name__}: {error}")
