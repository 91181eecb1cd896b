"""Identifiers: a prefix that says of what, and 128 random bits."""

import base64
import secrets

BITS = 128


def new_id(prefix: str) -> str:
    """`upl_…`: lower-case letters and digits, so that it is safe in paths, keys and URLs."""
    raw = base64.b32encode(secrets.token_bytes(BITS // 8)).decode().rstrip("=").lower()
    return f"{prefix}_{raw}"
