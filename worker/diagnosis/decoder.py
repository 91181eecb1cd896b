"""What the kernel takes from a decoding child here, and what its libraries read.

Tried in a child, as the decoder's are: what is given up is given up for good.
"""

import json
import sys
import tempfile

from shared.finding import Finding, ok, warning
from shared.formats import FORMATS
from worker.diagnosis.confinement import closed
from worker.diagnosis.trial import tried

NAME = "decoder"
SECONDS = 20.0
_TRY = """
import json, os, sys
from pathlib import Path
from worker.decoder.confine import confine
own = Path(sys.argv[1])
held = confine(own / "staged", own, cpu_seconds=10, parent_pid=os.getppid())
import pyvips
from pi_heif import libheif_info
from shared.formats import FORMATS
from worker.diagnosis.confinement import closed
def can_read(loader):
    if loader == "heif":
        return "libde265" in libheif_info()["decoders"]
    return pyvips.type_find("VipsForeignLoad", loader) != 0
images = [each for each in FORMATS.values() if each.kind == "image"]
found = [each.name for each in images if can_read(each.loader)]
version = ".".join(str(pyvips.version(part)) for part in range(3))
print(json.dumps({"held": held, "reads": found, "version": version}))
"""


async def check_decoder() -> list[Finding]:
    """Whether a child is confined, and can read what a definition may accept."""
    with tempfile.TemporaryDirectory(prefix="longshore-") as folder:
        said = await tried(sys.executable, "-c", _TRY, folder, seconds=SECONDS)
    if said is None:
        return [warning(NAME, f"a child didn't start within {SECONDS:g} s")]
    if said.status:
        lines = said.complaint.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"status {said.status}"
        return [warning(NAME, f"a child doesn't start ({reason}); nothing can be decoded")]
    about = json.loads(said.output)
    return [*closed(NAME, about["held"]), _reads(about["version"], about["reads"])]


def _reads(version: str, read: list[str]) -> Finding:
    """Every format of images that a definition may accept has to be among them."""
    wanted = [each.name for each in FORMATS.values() if each.kind == "image"]
    if missing := [name for name in wanted if name not in read]:
        reason = f"{version} can't read {', '.join(missing)}; install its wheel again"
        return warning("libvips", reason)
    return ok("libvips", f"{version} reads {', '.join(read)}")
