"""The examples of the documents, taken from the page to be run as they stand there."""

import re
from pathlib import Path


def blocks(page: Path, language: str = r"\w+") -> list[str]:
    """The page's blocks of code in that language, also those inside a list."""
    found = re.findall(
        rf"^( *)```(?:{language})\n(.*?)^ *```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def example(page: Path, name: str) -> str:
    """The block whose first line names this file."""
    for block in blocks(page):
        if name in block.splitlines()[0]:
            return block
    raise AssertionError(f"{page.name} has no {name}")
