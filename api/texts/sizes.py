"""Sizes as people read them."""


def size(count: int) -> str:
    """A size as people read it, in everything we say: '15 MB'. Decimal units, as file managers show
    them. The browser module and its pages write it so, too."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= factor - factor // 20_000:  # 999,950 bytes are 1 MB, and not 1000 KB
            tenths = (10 * count + factor // 2) // factor  # halves up, as JavaScript rounds
            return f"{tenths / 10:g} {unit}"
    return f"{count} byte{'' if count == 1 else 's'}"
