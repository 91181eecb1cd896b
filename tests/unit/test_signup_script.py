"""The signup's script is held against its own types and those of the module it uses."""

import shutil
from pathlib import Path

from tests.support.packages import run_tool
from tests.support.stack import CHECKOUT

CHECKED = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--skipLibCheck"]
AS_SERVED = ["--target", "es2023", "--module", "esnext", "--moduleResolution", "bundler"]


def test_its_types_are_right(tmp_path: Path) -> None:
    folders = {"api/html/static": ["signup.js"], "browser": ["longshore.js", "longshore.d.ts"]}
    for folder, names in folders.items():
        for name in names:
            shutil.copy(CHECKOUT / folder / name, tmp_path)
    run_tool("tsc", "signup.js", *CHECKED, *AS_SERVED, cwd=tmp_path)
