"""Uploaders on a line that loses packets, as lines do: not connections that break, but TCP that has
to send again. Nothing outside a network namespace of its own is touched."""

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
iptables -A INPUT -p tcp -m statistic --mode random --probability 0.01 -j DROP || exit 77
"$@"
ended=$?
iptables -vnxL INPUT
exit $ended
"""
"""As large as a network's: a packet of the loopback's own would be half a file."""
UPLOADERS = (
    "test_tus",
    "test_uppy_with_tus",
    "test_filepond_in_chunks",
    "test_dropzone_in_chunks",
)
SECONDS = 900


@pytest.mark.slow
def test_resumable_uploads_arrive_where_one_packet_in_a_hundred_is_lost() -> None:
    """On every link, also of the service's own parts: while the api is killed, the page reloaded
    and the upload paused, by each uploader as its page in docs/clients has it."""
    for tool in ("unshare", "ip", "iptables"):
        if not shutil.which(tool):
            pytest.skip(f"no packets can be lost: there is no {tool} here")
    tried = _where_packets_are_lost("true", seconds=60)
    if tried.returncode:
        pytest.skip(f"no packets can be lost here: {tried.stderr.strip()}")
    if machine.browser() is None:
        pytest.skip("no Chromium on this machine")
    installed()  # there is no registry in the namespace
    tests = [f"tests/browser/test_clients.py::{each}" for each in UPLOADERS]
    ran = _where_packets_are_lost(sys.executable, "-m", "pytest", "-q", *tests)
    assert ran.returncode == 0, ran.stdout
    assert f"{len(UPLOADERS)} passed" in ran.stdout, ran.stdout
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
