"""Decimal numbers in text, read and written many at a time: a file of 40 million numbers is no place for a loop.

Both directions work on whole blocks with NumPy: eight digits are one uint64, and all numbers of a block take the same
few steps at once. What does not look like `-12.345` (an exponent, no point, very many digits) goes one by one through
Python's float, so every result is the one float() gives.
"""

from __future__ import annotations

import numpy as np

SPACE, NEWLINE, POINT, MINUS = b" \n.-"
_TENS = np.array([float(f"1e{n}") for n in range(23)])           # all of them exact
_INTEGER_TENS = 10 ** np.arange(19, dtype=np.uint64)
_KEEP = np.array([0] + [(1 << 64) - (1 << 8 * (8 - n)) for n in range(1, 9)], np.uint64)   # the last n bytes of eight


def split(block: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The marks of a block, and which of them end a field: (marks, ends).

    marks: the positions of all bytes that are no digit. ends: the places in `marks` of the spaces and newlines.
    """
    raw = np.frombuffer(block, np.uint8)
    marks = np.flatnonzero(raw - np.uint8(48) > 9)
    kinds = raw[marks]
    return marks, np.flatnonzero((kinds == SPACE) | (kinds == NEWLINE))


def parse(block: bytes, marks: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a block of n lines, all `word x1 ... xd`; ends: (n, d + 1), those that `split` finds.

    Returns (values, known), float32 and bool, both (n, d). A number is known where it has the plain form [-]digits.digits
    and no more than 15 digits or so; `parse_one` reads the others. A known number is rounded as float() rounds it: its
    digits are an integer of at most 2**53 and the power of ten is exact, so the division is the one rounding (Clinger, 1990).
    """
    raw = np.frombuffer(b"0" * 16 + block, np.uint8)                 # so that there are bytes before any number
    shifted = marks + 16
    stops = shifted[ends]
    start, end = stops[:, :-1] + 1, stops[:, 1:]
    point = shifted[ends[:, 1:] - 1]
    inside = np.diff(ends, axis=1)                                   # marks of a number, its end among them
    negative = (inside == 3) & (raw[start] == MINUS)
    known = (raw[point] == POINT) & (negative | (inside == 2))
    whole, decimals = (point - start - negative) * known, (end - point - 1) * known
    known &= (whole <= 8) & (decimals <= 16) & (whole + decimals <= 18) & (whole + decimals > 0)
    if not known.all():
        whole, decimals = whole * known, decimals * known
    eight = np.ndarray(len(raw) - 7, "<u8", raw.data, strides=(1,))  # eight[i]: bytes i to i + 7
    digits = _digits(eight[point - 8] & _KEEP[whole]) * _INTEGER_TENS[decimals]
    digits += _digits(eight[end - 8] & _KEEP[np.minimum(decimals, 8)])
    if (decimals > 8).any():
        digits += _digits(eight[end - 16] & _KEEP[np.maximum(decimals, 8) - 8]) * np.uint64(10 ** 8)
    known &= digits <= 1 << 53
    values = digits / _TENS[decimals]
    np.negative(values, out=values, where=negative)
    return values.astype(np.float32), known


def _digits(eight: np.ndarray) -> np.ndarray:
    """The number that eight ASCII digits (or zero bytes before them) spell: neighbours are joined, three times over."""
    eight = eight & np.uint64(0x0F0F0F0F0F0F0F0F)
    eight = (eight * np.uint64(10 * 2 ** 8 + 1) >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    eight = (eight * np.uint64(100 * 2 ** 16 + 1) >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    return eight * np.uint64(10000 * 2 ** 32 + 1) >> np.uint64(32)


def parse_one(field: bytes) -> float | None:
    """What float() makes of a field, None where it is no number; Python's own `1_000` and ` 1` are none in a file."""
    try:
        return None if b"_" in field or field != field.strip() else float(field)
    except ValueError:
        return None


def _letters(texts: list[bytes]) -> np.ndarray:
    """Texts of four bytes each as one uint32 each."""
    return np.frombuffer(b"".join(texts), np.uint32)


_FOUR = _letters([b"%04d" % n for n in range(10000)])
_HEAD = _letters([b"%c%d.%d" % (sign, n // 10, n % 10) for sign in b"\0-" for n in range(100)])   # "-1.2"
_THIRD = _letters([(b"\xff" * min(n - 5, 4)).ljust(4, b"\0") for n in range(8, 14)])    # keeps decimals 6 to 9 of n
_FOURTH = _letters([(b"\xff" * max(n - 9, 0)).ljust(4, b"\0") for n in range(8, 14)])   # and 10 to 13
_SPACE, _NEWLINE = _letters([b" \0\0\0", b"\n\0\0\0"])


def format_rows(matrix: np.ndarray) -> list[bytes]:
    """The rows of an (n, d) float32 matrix as decimals with spaces between; read back, they are the same to the bit.

    Nine significant digits tell any two float32 apart. 0.00001 to 10 is written with a point alone, other numbers as %.9g.
    """
    x = matrix.ravel()
    size = np.abs(x).astype(np.float64)
    decimals = np.full(len(x), 8, np.intp)                       # with nine digits, where one stands before the point
    for bound in (1, 0.1, 0.01, 0.001, 0.0001):
        decimals += size < bound
    plain = (size >= 1e-5) & (size < 10)
    size *= plain
    digits = np.rint(size * _TENS[decimals]).astype(np.int64)    # an error of 1e-7 of a unit is no matter
    digits *= _INTEGER_TENS.view(np.int64)[13 - decimals]        # all have 13 decimals now: - d.d dddd dddd dddd
    high, low = np.divmod(digits, 10 ** 8)
    head, second = np.divmod(high, 10 ** 4)
    third, fourth = np.divmod(low, 10 ** 4)
    text = np.empty((len(x), 5), np.uint32)                      # twenty bytes a number; those that are 0 are dropped
    text[:, 0] = _HEAD[head + 100 * np.signbit(x)]
    text[:, 1] = _FOUR[second]
    text[:, 2] = _FOUR[third] & _THIRD[decimals - 8]
    text[:, 3] = _FOUR[fourth] & _FOURTH[decimals - 8]
    text[:, 4] = _SPACE
    text.reshape(*matrix.shape, 5)[:, -1, 4] = _NEWLINE
    if not plain.all():
        letters = text.view(np.uint8)
        for i in np.flatnonzero(~plain):
            one = b"%.9g" % x[i] if x[i] else b"-0.0" if np.signbit(x[i]) else b"0.0"
            letters[i, :16] = np.frombuffer(one.ljust(16, b"\0"), np.uint8)
    return text.tobytes().translate(None, b"\0").split(b"\n")[:-1]
