"""Make the bucket and the services' own keys on the local S3 endpoint; what is there stays.

Run in the services' environment, which has botocore: reads a request as JSON from stdin, writes
`{user: key}`.
"""

import json
import sys
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

POLICY = "longshore"
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
MISSING = {"404", "NoSuchBucket", "NoSuchEntity"}


def policies(bucket: str) -> dict[str, dict[str, Any]]:
    """What each service may do: the worker works in its bucket, the api only reads objects."""
    arn = f"arn:aws:s3:::{bucket}"
    work = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
    parts = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    listing = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
    return {
        "worker": _policy({f"{arn}/*": [*work, *parts], arn: listing}),
        "api": _policy({f"{arn}/*": ["s3:GetObject"]}),
    }


def _policy(actions: dict[str, list[str]]) -> dict[str, Any]:
    allow = [{"Effect": "Allow", "Action": a, "Resource": r} for r, a in actions.items()]
    return {"Version": "2012-10-17", "Statement": allow}


def client(service: str, request: dict[str, Any], key: dict[str, str]) -> Any:
    return get_session().create_client(
        service,
        region_name=request["region"],
        endpoint_url=request["endpoint_url"],
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=10),
    )


def provision(request: dict[str, Any]) -> dict[str, dict[str, str]]:
    s3 = client("s3", request, request["root"])
    if _found(s3.head_bucket, Bucket=request["bucket"]) is None:
        s3.create_bucket(Bucket=request["bucket"])
    s3.put_bucket_cors(Bucket=request["bucket"], CORSConfiguration={"CORSRules": CORS})
    iam = client("iam", request, request["root"])
    keys = {}
    for user, policy in policies(request["bucket"]).items():
        if _found(iam.get_user, UserName=user) is None:
            iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName=POLICY, PolicyDocument=json.dumps(policy))
        kept = request["keys"][user]
        keys[user] = kept if _knows(iam, user, kept) else _new_key(iam, user)
    return keys


def _knows(iam: Any, user: str, key: dict[str, str] | None) -> bool:
    known = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    return key is not None and key["access_key_id"] in {k["AccessKeyId"] for k in known}


def _new_key(iam: Any, user: str) -> dict[str, str]:
    for old in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user, AccessKeyId=old["AccessKeyId"])
    made = iam.create_access_key(UserName=user)["AccessKey"]
    return {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}


def _found(ask: Any, **what: str) -> Any:
    try:
        return ask(**what)
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING:
            return None
        raise


if __name__ == "__main__":
    try:
        json.dump(provision(json.load(sys.stdin)), sys.stdout)
    except Exception as error:  # noqa: BLE001 - whatever it is, `up` shows it as one line and tries again
        sys.exit(f"{type(error).__name__}: {error}")
