"""Answers of an S3 store that don't pass by themselves: the setting they mean, and what to do."""

from shared.finding import Finding, wrong

_ENDPOINT = "the endpoint"
_NOT_ITS_REGION = ("S3_REGION", "{region} isn't the bucket's; correct it")

_MEANINGS = {
    "NoSuchBucket": ("S3_BUCKET", "there is no bucket {bucket!r}; make it, or correct the name"),
    "InvalidBucketName": ("S3_BUCKET", "{bucket!r} is no name of a bucket; correct it"),
    "InvalidAccessKeyId": (
        "S3_ACCESS_KEY_ID",
        "the store doesn't know this key; use one that it does",
    ),
    "SignatureDoesNotMatch": (
        "S3_SECRET_ACCESS_KEY",
        "isn't that of S3_ACCESS_KEY_ID, or something before the store changes Host; correct it",
    ),
    "PermanentRedirect": _NOT_ITS_REGION,
    "AuthorizationHeaderMalformed": _NOT_ITS_REGION,
    "AuthorizationQueryParametersError": _NOT_ITS_REGION,
    "IllegalLocationConstraintException": _NOT_ITS_REGION,
    "RequestTimeTooSkewed": (_ENDPOINT, "its clock and this machine's differ; set both"),
}
"""By the `Code` of the answer."""


def means_us(code: str) -> bool:
    """Whether an answer of this code means how we are set up, and not the moment."""
    return code in _MEANINGS


def meaning(code: str, *, endpoint: str, bucket: str, region: str) -> Finding:
    """What to tell who runs it. `endpoint` is the name of the setting with the store's address.

    Raises `KeyError` for a code of which `means_us` says no.
    """
    setting, text = _MEANINGS[code]
    name = endpoint if setting == _ENDPOINT else setting
    return wrong(name, text.format(bucket=bucket, region=region))
