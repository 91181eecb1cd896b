"""One endpoint of each kind for the whole run."""

from collections.abc import Iterator

import pytest

from tests.support.s3 import S3Endpoint, run_moto


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    with run_moto(tmp_path_factory.mktemp("moto")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session", params=["moto", "seaweedfs"])
def endpoint(request: pytest.FixtureRequest) -> S3Endpoint:
    """Every kind of store in turn: one suite for all."""
    found: S3Endpoint = request.getfixturevalue(request.param)
    return found
