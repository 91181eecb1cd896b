"""ICC profiles: made of what a format says of its colours, and recognised when they are sRGB's.

Only the simple kind (ICC.1:2022): three primaries and a curve, or a curve alone for grey.
"""

import struct
from collections.abc import Sequence
from math import exp

Matrix = tuple[tuple[float, float, float], ...]
Curve = bytes
"""A `curv` or `para` tag."""

_D65 = (0.3127, 0.3290)
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD: Matrix = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)
_BT709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
_PRIMARIES: dict[int, tuple[float, ...]] = {
    1: _BT709,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
}
"""Code points of ITU-T H.273: x and y of red, green, blue and white."""
SRGB = 13
"""H.273's code point of sRGB's curve."""
VIDEO = {1, 6, 14, 15}
"""Those of television's curve, which HEIF says of photos that are in sRGB."""
_LINEAR, _PQ, _HLG = 8, 16, 18
_GAMMAS = {4: 2.2, 5: 2.8, 17: 2.6}
_SCREEN = 2.4
"""The gamma of a screen for television (ITU-R BT.1886)."""
_STEPS = 1024
_WHITE_NITS = 203.0
"""Of a sheet of paper in an HDR image (ITU-R BT.2408)."""
_BRIGHTEST_NITS = 1000.0
"""What becomes white: everything below is pressed together."""
_SIXTEEN = 65_536
_NEAR = 0.004
"""A difference of one step in 255."""


def is_known(primaries: int, transfer: int) -> bool:
    """Whether these code points of H.273 name colours that we can show."""
    curves = {_LINEAR, SRGB, _PQ, _HLG, *_GAMMAS, *VIDEO}
    return primaries in _PRIMARIES and transfer in curves


def is_srgb(primaries: int, transfer: int) -> bool:
    """Whether they are shown as they are."""
    return (primaries, transfer) == (1, SRGB)


def of_code_points(primaries: int, transfer: int, *, grey: bool = False) -> bytes:
    """The profile of known code points of H.273."""
    if transfer in _GAMMAS:
        curve = _gamma(_GAMMAS[transfer])
    elif transfer == _LINEAR:
        curve = _gamma(1.0)
    elif transfer in {_PQ, _HLG}:
        light = _from_pq if transfer == _PQ else _from_hlg
        curve = _table([_pressed(light(step / (_STEPS - 1))) for step in range(_STEPS)])
    else:
        curve = _SRGB_CURVE if transfer == SRGB else _gamma(_SCREEN)
    return _profile(_PRIMARIES[primaries], curve, grey=grey)


def of_gamma(gamma: float, points: Sequence[float] | None, *, grey: bool) -> bytes | None:
    """The profile of PNG's gAMA (its reciprocal) and cHRM (white, red, green and blue).

    None if they are sRGB's or make no sense.
    """
    primaries = (*points[2:], *points[:2]) if points else _BT709
    near_srgb = all(abs(a - b) < _NEAR for a, b in zip(primaries, _BT709, strict=True))
    if abs(gamma - 2.2) < 0.02 and (near_srgb or grey):  # noqa: PLR2004 - what gAMA says for sRGB
        return None
    if not 0.1 <= gamma <= 10:  # noqa: PLR2004 - beyond, everything is black or white
        return None
    try:
        return _profile(primaries, _gamma(gamma), grey=grey)
    except ZeroDivisionError:
        return None


def says_srgb(profile: bytes) -> bool:
    """Whether an RGB profile maps to sRGB within a step of 255, so that nothing is to be done."""
    try:
        if profile[16:20] != b"RGB " or b"A2B0" in profile[128 : 128 + 12 * 64]:
            return False
        tags = _tags(profile)
        for name, expected in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _SRGB_COLUMNS, strict=True):
            seen = [each / _SIXTEEN for each in struct.unpack_from(">3i", tags[name], 8)]
            if any(abs(a - b) > _NEAR for a, b in zip(seen, expected, strict=True)):
                return False
        return all(
            abs(_value(tags[name], step / 32) - _srgb_light(step / 32)) < _NEAR / 2
            for name in (b"rTRC", b"gTRC", b"bTRC")
            for step in range(33)
        )
    except (LookupError, struct.error, ValueError, ZeroDivisionError, OverflowError, TypeError):
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    found = {}
    for each in range(min(count, 100)):
        name, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * each)
        found[name] = profile[start : start + size]
    return found


def _value(curve: Curve, x: float) -> float:
    """What a `curv` or `para` tag makes of `x`."""
    if curve[:4] == b"curv":
        (count,) = struct.unpack_from(">I", curve, 8)
        if count == 0:
            return x
        if count == 1:
            return float(x ** (struct.unpack_from(">H", curve, 12)[0] / 256))
        place = x * (count - 1)
        low = min(int(place), count - 2)
        first, second = struct.unpack_from(">2H", curve, 12 + 2 * low)
        return float((first + (second - first) * (place - low)) / 65_535)
    if curve[:4] != b"para":
        raise ValueError(curve[:4])
    (kind,) = struct.unpack_from(">H", curve, 8)
    numbers = [n / _SIXTEEN for n in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", curve, 12)]
    if kind == 0:
        return float(x ** numbers[0])
    g, a, b, c, d, e, f = (*numbers, *[0.0] * 7)[:7]
    if kind in {1, 2}:
        return float((a * x + b) ** g + c if x >= -b / a else c)
    return float((a * x + b) ** g + e if x >= d else c * x + f)


def _srgb_light(x: float) -> float:
    return float(((x + 0.055) / 1.055) ** 2.4) if x > 0.04045 else x / 12.92  # noqa: PLR2004 - IEC 61966-2-1 has these numbers


def _from_pq(x: float) -> float:
    """Light relative to a sheet of paper, of SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = x ** (1 / m2)
    return float((max(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)) * 10_000 / _WHITE_NITS


def _from_hlg(x: float) -> float:
    """The same of ARIB STD-B67, on a screen of 1000 nits."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = x * x / 3 if x <= 0.5 else (exp((x - c) / a) + b) / 12  # noqa: PLR2004 - the standard has these numbers
    return float(scene**1.2) * _BRIGHTEST_NITS / _WHITE_NITS


def _pressed(light: float) -> float:
    """Light relative to paper, where the brightest is white: dimmed evenly up to paper, and
    pressed together above it (Reinhard), about as browsers do."""
    brightest = _BRIGHTEST_NITS / _WHITE_NITS
    over = max(light, 1)
    return light * (1 + over / brightest**2) / (1 + over)


def _gamma(value: float) -> Curve:
    return b"para" + struct.pack(">IHHi", 0, 0, 0, round(value * _SIXTEEN))


def _table(values: Sequence[float]) -> Curve:
    steps = [round(min(max(each, 0), 1) * 65_535) for each in values]
    return b"curv" + struct.pack(f">II{len(steps)}H", 0, len(steps), *steps)


_SRGB_NUMBERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_SRGB_CURVE: Curve = b"para" + struct.pack(
    ">IHH5i", 0, 3, 0, *(round(each * _SIXTEEN) for each in _SRGB_NUMBERS)
)


def _profile(primaries: Sequence[float], curve: Curve, *, grey: bool) -> bytes:
    tags = {b"wtpt": _xyz(_D50), b"desc": _text("made"), b"cprt": _text("none")}
    if grey:
        tags[b"kTRC"] = curve
    else:
        columns = zip(*_to_d50(primaries), strict=True)
        names = (b"rXYZ", b"gXYZ", b"bXYZ")
        tags |= {name: _xyz(column) for name, column in zip(names, columns, strict=True)}
        tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    space = b"GRAY" if grey else b"RGB "
    size = start + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"", 0x04000000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(each * _SIXTEEN) for each in values))


def _text(words: str) -> bytes:
    text = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">III4sII", 0, 1, 12, b"enUS", len(text), 28) + text


def _to_d50(points: Sequence[float]) -> Matrix:
    """Linear RGB with these primaries to XYZ as seen under D50: columns are the primaries."""
    *colours, white_x, white_y = points
    pairs = list(zip(colours[::2], colours[1::2], strict=True))
    raw = _transposed([(x / y, 1.0, (1 - x - y) / y) for x, y in pairs])
    white = (white_x / white_y, 1.0, (1 - white_x - white_y) / white_y)
    scale = _times(_inverse(raw), white)
    scaled: Matrix = tuple((row[0] * scale[0], row[1] * scale[1], row[2] * scale[2]) for row in raw)
    source, goal = _times(_BRADFORD, white), _times(_BRADFORD, _D50)
    cone = [goal[each] / source[each] for each in range(3)]
    adapted = _product(
        _inverse(_BRADFORD),
        tuple((row[0] * c, row[1] * c, row[2] * c) for row, c in zip(_BRADFORD, cone, strict=True)),
    )
    return _product(adapted, scaled)


def _transposed(rows: Sequence[Sequence[float]]) -> Matrix:
    return tuple((rows[0][each], rows[1][each], rows[2][each]) for each in range(3))


def _times(matrix: Matrix, vector: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def _product(left: Matrix, right: Matrix) -> Matrix:
    return _transposed([_times(left, column) for column in _transposed(right)])


def _inverse(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    whole = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return (
        ((e * i - f * h) / whole, (c * h - b * i) / whole, (b * f - c * e) / whole),
        ((f * g - d * i) / whole, (a * i - c * g) / whole, (c * d - a * f) / whole),
        ((d * h - e * g) / whole, (b * g - a * h) / whole, (a * e - b * d) / whole),
    )


_SRGB_COLUMNS = _transposed(_to_d50(_BT709))
"""Of sRGB: its red, green and blue, as XYZ under D50."""
