"""How many bytes this process hashes."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest


def count_hashed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """From now on; the answer says how many bytes SHA-256 was asked about by our own code. What the
    S3 client signs over plain HTTP, a hash of the body, is the client's."""
    counted = 0
    really = hashlib.sha256

    class Counting:
        def __init__(self, content: bytes = b"") -> None:
            self._digest = really()
            self.update(content)

        def update(self, content: bytes) -> None:
            nonlocal counted
            counted += len(content)
            self._digest.update(content)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._digest, name)

    monkeypatch.setattr(hashlib, "sha256", Counting)
    return lambda: counted
