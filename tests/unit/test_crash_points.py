"""A crash point kills the process that reaches it first, once, and only where it is armed."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.stack import CHECKOUT

REACH = """
import sys
from pathlib import Path
from shared import crash_points
crash_points.arm(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
crash_points.reached("here")
print("lived")
"""


def test_who_reaches_an_armed_point_is_killed_once(tmp_path: Path) -> None:
    assert _reach(str(tmp_path)).returncode == 0, "nothing is armed"
    (tmp_path / "here").write_text("SIGKILL")
    assert _reach(str(tmp_path)).returncode == -signal.SIGKILL
    assert _reach(str(tmp_path)).stdout == "lived\n", "once"


def test_an_armed_point_elsewhere_and_an_unarmed_process_do_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("SIGKILL")
    assert _reach(str(tmp_path)).stdout == "lived\n"
    assert _reach().stdout == "lived\n"


def test_each_point_of_the_product_is_one_at_which_a_test_kills_it() -> None:
    product = [path for name in ("api", "worker") for path in (CHECKOUT / name).rglob("*.py")]
    reached = {
        point
        for path in product
        for point in re.findall(r'reached\("([a-z-]+)"\)', path.read_text())
    }
    killed = "".join(path.read_text() for path in (CHECKOUT / "tests/faults").glob("test_*.py"))
    assert reached
    assert reached == {point for point in reached if f'"{point}"' in killed}


def _reach(*folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", REACH, *folder],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
