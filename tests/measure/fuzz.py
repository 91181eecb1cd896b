"""Mutated files through the decoder. `./longshore fuzz` starts it.

Each file is one of the given ones, or one that the tests make, changed by a few seeded mutations.
Whatever comes of it has to be a verdict, or a death that the worker reads as one; what ended in no
way we know, or without a verdict, is kept in `--keep`. Exits 1 if something was unclassified.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.measure.outcomes import Tally, decoding, each_of
from tests.support import images

LARGEST = 2_000_000
"""Bytes of a file that is taken as a seed: mutations of larger ones take time and find no more."""
ODD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def mutated(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """`content` after one to six mutations, some with pieces of `other`."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        if changed:
            chance.choice(MUTATIONS)(changed, other, chance)
    return bytes(changed)


def _flip_bits(changed: bytearray, _other: bytes, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)


def _write_odd_number(changed: bytearray, _other: bytes, chance: random.Random) -> None:
    size, order = chance.choice((1, 2, 4)), chance.choice(("big", "little"))
    at = chance.randrange(len(changed))
    number = chance.choice(ODD) % (1 << 8 * size)
    changed[at : at + size] = number.to_bytes(size, "big" if order == "big" else "little")


def _cut_out(changed: bytearray, _other: bytes, chance: random.Random) -> None:
    at = chance.randrange(len(changed))
    del changed[at : at + chance.choice((1, 2, 16, 256, 4096))]


def _truncate(changed: bytearray, _other: bytes, chance: random.Random) -> None:
    del changed[chance.randrange(len(changed)) :]


def _repeat(changed: bytearray, _other: bytes, chance: random.Random) -> None:
    at = chance.randrange(len(changed))
    piece = bytes(changed[at : at + chance.choice((1, 4, 64, 1024))])
    changed[at:at] = piece * chance.choice((1, 2, 100))


def _splice(changed: bytearray, other: bytes, chance: random.Random) -> None:
    at, start = chance.randrange(len(changed)), chance.randrange(len(other))
    piece = other[start : start + chance.choice((4, 64, 4096))]
    changed[at : at + len(piece)] = piece


def _change_a_digit(changed: bytearray, _other: bytes, chance: random.Random) -> None:
    """Of the numbers in text that PDFs and documents are made of."""
    at = changed.find(b"%d" % chance.randrange(10), chance.randrange(len(changed)))
    if at >= 0:
        changed[at : at + 1] = b"%d" % chance.choice((0, 9, 4_294_967_296, -1))


Mutation = Callable[[bytearray, bytes, random.Random], None]
MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits, _flip_bits, _write_odd_number, _cut_out, _truncate, _repeat, _splice,
    _change_a_digit,
)  # fmt: skip # one list


def _made() -> list[bytes]:
    """What the tests send, one of each kind."""
    return [
        images.jpeg(), images.camera_jpeg(6), images.jpeg(mode="CMYK", subsampling=-1),
        images.png(), images.webp(), images.animated_webp(), images.pdf(3),
        images.pdf(linearize=True),
    ]  # fmt: skip # one list


def _mutants(
    folder: Path, seeds: list[Path], chance: random.Random, until: float
) -> Iterator[Path]:
    number = 0
    while time.monotonic() < until:
        content, other = (chance.choice(seeds).read_bytes() for _ in range(2))
        path = folder / f"{number:07}"
        path.write_bytes(mutated(content, other, chance))
        number += 1
        yield path


def _put_away(path: Path, keep: Path | None) -> None:
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, keep)
    path.unlink()


async def run(seeds: list[Path], seconds: float, chance: random.Random, keep: Path) -> int:
    tally, unclassified, number = Tally(), 0, 0
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="longshore-") as folder:
        async with decoding(with_office=False) as way:
            async for path, became in each_of(_mutants(Path(folder), seeds, chance, until), way):
                number += 1
                tally.add(path.name, became)
                unclassified += became.is_unclassified
                if not became.is_verdict:
                    print(f"{path.name}: {became.how}", flush=True)
                await asyncio.to_thread(_put_away, path, None if became.is_verdict else keep)
    for line in tally.lines():
        print(line)
    print(f"{number} files in {seconds:.0f} s; {unclassified} unclassified")
    return 1 if unclassified else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="longshore fuzz", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="real files")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311 - no secret
    parser.add_argument("--keep", type=Path, default=Path(".longshore/fuzz"))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="longshore-") as made:
        seeds = [
            path
            for folder in options.folders
            for path in sorted(folder.rglob("*"))
            if path.is_file() and 0 < path.stat().st_size <= LARGEST
        ]
        for number, content in enumerate(_made()):
            seeds.append(Path(made) / f"{number}")
            seeds[-1].write_bytes(content)
        chance = random.Random(options.seed)  # noqa: S311 - no secret
        return asyncio.run(run(seeds, options.minutes * 60, chance, options.keep))


if __name__ == "__main__":
    sys.exit(main())
