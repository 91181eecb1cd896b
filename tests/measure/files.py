"""Count what becomes of real files. `./longshore files FOLDER…` starts it.

Every file below the folders goes the worker's way, with a field that accepts all we know. Files that
are rejected although another reader shows all of them are listed: they may be rejected wrongly.
Exits 1 if one was given back or ended in no way we know.
"""

import argparse
import asyncio
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pillow_heif
import pypdfium2
from PIL import Image

from tests.measure.outcomes import Became, Tally, decoding, each_of


async def run(paths: list[Path]) -> int:
    pillow_heif.register_heif_opener()
    tally, bad, doubtful = Tally(), [], []
    async with decoding(with_office=True) as way:
        number = 0
        async for path, became in each_of(paths, way):
            number += 1
            tally.add(str(path), became)
            if not became.is_verdict:
                bad.append(f"{path}: {became.how}")
            elif became.how.startswith("rejected") and _others_show(path, became):
                doubtful.append(f"{path}: {became.how}")
            if number % 500 == 0:
                print(f"{number} of {len(paths)}", file=sys.stderr, flush=True)
    for line in tally.lines():
        print(line)
    print(f"{len(doubtful)} of {len(paths)} were rejected, and another reader shows them:")
    print("\n".join(sorted(doubtful)))
    print(f"{len(bad)} of {len(paths)} came to no verdict:")
    print("\n".join(sorted(bad)))
    return 1 if bad else 0


def _others_show(path: Path, became: Became) -> bool:
    """Whether Pillow shows the image, or pdfium every page, without a complaint."""
    if became.how.partition(": ")[2] not in ("file-corrupt", "file-too-complex", "file-encrypted"):
        return False  # a bound of the field, or a type it doesn't accept
    if became.detected == "application/pdf":
        return _pdfium_opens(path)
    return (became.detected or "").startswith("image/") and _pillow_opens(path)


def _pdfium_opens(path: Path) -> bool:
    try:
        document = pypdfium2.PdfDocument(path)
        return len(document) > 0 and all(document[number] for number in range(len(document)))
    except Exception:  # noqa: BLE001 - whatever it may be, it isn't shown
        return False


def _pillow_opens(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with Image.open(path) as image:
                image.load()
        except Exception:  # noqa: BLE001 - as above
            return False
    return True


def _below(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from [folder] if folder.is_file() else sorted(folder.rglob("*"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="longshore files", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    found = [path for path in _below(parser.parse_args().folders) if path.is_file()]
    sys.exit(asyncio.run(run(found)))
