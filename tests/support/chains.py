"""Which tests one process runs one after the other, where several run the suite at once.

A file's tests stay together. Files whose tests share a stack make a chain, so that it is started
once and not in each process, where it idles when they are done. Chains come first, being long.
"""

import re

from xdist.scheduler import LoadFileScheduling

CHAINS = {
    "on PostgreSQL": r"tests/(acceptance/|integration/test_proxy).*\[(.*-)?postgresql(-.*)?\]$",
    "on SQLite": r"tests/(acceptance/|integration/test_proxy).*\[(.*-)?sqlite(-.*)?\]$",
    "clients in a browser": r"tests/browser/(?!test_(signup|module)_)",
    "signup in a browser": r"tests/browser/test_signup_",
    "module in a browser": r"tests/browser/test_module_",
    "crashes": r"tests/faults/test_(crashes|deploys|queue)\b",
    "links": r"tests/faults/test_(links|parts|replicas|resumable\w*)\b",
}
"""By name, what their tests' ids begin with. None should take longer than half of the whole run."""


def chain_of(nodeid: str) -> str:
    """The chain's name; of a file in none its own."""
    for name, pattern in CHAINS.items():
        if re.match(pattern, nodeid):
            return name
    return nodeid.split("::", 1)[0]


def place_of(nodeid: str) -> int:
    """Of its chain among all, the last for those in none."""
    order = [*CHAINS, chain_of(nodeid)]
    return order.index(order[-1])


class InChains(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return chain_of(nodeid)
