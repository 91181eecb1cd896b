"""What the processes that share the suite out run one after the other."""

import pytest

from tests.support.chains import CHAINS, chain_of, place_of
from tests.support.stack import CHECKOUT


@pytest.mark.parametrize(
    ("nodeid", "chain"),
    [
        ("tests/acceptance/test_forms.py::test_a[postgresql]", "on PostgreSQL"),
        ("tests/acceptance/test_events.py::test_a[sqlite-postgresql is no value]", "on SQLite"),
        ("tests/integration/test_proxy.py::test_a[a-sqlite]", "on SQLite"),
        ("tests/integration/test_tus.py::test_a[sqlite]", "tests/integration/test_tus.py"),
        ("tests/acceptance/test_up.py::test_a", "tests/acceptance/test_up.py"),
        ("tests/browser/test_clients.py::test_a[sqlite]", "clients in a browser"),
        ("tests/browser/test_signup_pages.py::test_a[sqlite]", "signup in a browser"),
        ("tests/faults/test_resumable_replicas.py::test_a[sqlite]", "links"),
        ("tests/faults/test_store.py::test_a", "tests/faults/test_store.py"),
    ],
)
def test_files_whose_tests_share_a_stack_are_in_one_chain(nodeid: str, chain: str) -> None:
    assert chain_of(nodeid) == chain


def test_a_file_on_its_own_comes_after_the_chains() -> None:
    first = "tests/acceptance/test_forms.py::test_a[postgresql]"
    assert place_of(first) == 0
    assert place_of("tests/acceptance/test_up.py::test_a") == len(CHAINS)


@pytest.mark.parametrize("chain", CHAINS)
def test_every_chain_has_files(chain: str) -> None:
    files = [each.relative_to(CHECKOUT) for each in CHECKOUT.glob("tests/*/test_*.py")]
    ids = [f"{file}::test_a[{given}]" for file in files for given in ("sqlite", "postgresql")]
    assert chain in map(chain_of, ids)
