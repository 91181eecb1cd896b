"""Uploaders on a line that loses packets, as lines do: TCP has to send again, also the resets of
connections that break. Nothing outside a network namespace of its own is touched."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from dev import machine
from tests.support.packages import installed
from tests.support.stack import CHECKOUT

LOSSY = """
ip link set lo up mtu 1500 gso_max_size 1500 gso_max_segs 1 &&
ip link add there type veth peer name nowhere && ip address add 192.0.2.1/24 dev there &&
ip link set there up && ip link set nowhere up &&
iptables -A INPUT -p tcp -m statistic --mode random --probability 0.01 -j DROP || exit 77
"$@"
ended=$?
iptables -vnxL INPUT
exit $ended
"""
"""Packets as large as a network's: one of the loopback's own would be half a file. And a second
interface, as Chromium calls a machine offline that has the loopback alone."""
UPLOADERS = (
    "test_tus",
    "test_uppy_with_tus",
    "test_filepond_in_chunks",
    "test_dropzone_in_chunks",
)
BREAKING = tuple(f"{each}_over_a_line_that_breaks_and_breaks" for each in UPLOADERS)
OUR_OWN = "test_it_arrives_over_a_line_that_breaks_and_breaks"
SECONDS = 900


@pytest.mark.slow
def test_resumable_uploads_arrive_where_one_packet_in_a_hundred_is_lost() -> None:
    """On every link, also of the service's own parts, by each uploader as its page in docs/clients
    has it: while the api is killed, the page reloaded and the upload paused; and while every
    connection to two replicas behind the proxy breaks."""
    for tool in ("unshare", "ip", "iptables"):
        if not shutil.which(tool):
            pytest.skip(f"no packets can be lost: there is no {tool} here")
    tried = _where_packets_are_lost("true", seconds=60)
    if tried.returncode:
        pytest.skip(f"no packets can be lost here: {tried.stderr.strip()}")
    if machine.browser() is None:
        pytest.skip("no Chromium on this machine")
    installed()  # there is no registry in the namespace
    tests = [f"tests/browser/test_clients.py::{each}" for each in (*UPLOADERS, *BREAKING)]
    tests.append(f"tests/browser/test_module_resuming.py::{OUR_OWN}")
    words = ("-m", "pytest", "-q", "-m", "slow or not slow")
    ran = _where_packets_are_lost(sys.executable, *words, *tests)
    assert ran.returncode == 0, ran.stdout
    assert f"{len(tests)} passed" in ran.stdout, ran.stdout
    lost = re.search(r"^ *(\d+) .* DROP ", ran.stdout, re.MULTILINE)
    assert lost is not None, ran.stdout
    assert int(lost[1]) > 100, "so many packets at least"


def _where_packets_are_lost(
    *command: str, seconds: float = SECONDS
) -> subprocess.CompletedProcess[str]:
    root = [] if os.geteuid() == 0 else ["-Ur"]
    words = ["unshare", *root, "-n", "sh", "-c", LOSSY, "sh", *command]
    return subprocess.run(
        words, cwd=CHECKOUT, capture_output=True, text=True, timeout=seconds, check=False
    )
