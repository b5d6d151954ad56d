"""Numbering the words of a text as they are first seen: the loop that a corpus of a billion words waits for.

A dictionary decides. In front of it stands a table of recently seen words that NumPy can search for all words of a
block at once; the dictionary is asked for what is not there, a few words in a hundred.
"""

import itertools
import re
from collections import defaultdict

import numpy as np

LINE_END = 0  # the number of "\n", which no word can be
SLOTS = 1 << 18  # of the table, a power of 2: the words of most texts, in 5 MB
WIDTH = 16  # bytes: longer words are the dictionary's alone

# str.split() parts text at these ASCII characters, and at these others, which are made spaces first
IS_SPACE = np.zeros(256, dtype=bool)
IS_SPACE[[9, 10, 11, 12, 13, 28, 29, 30, 31, 32]] = True
OTHER_SPACE = re.compile("[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
# the first n of a word's 16 bytes, as two integers
MASKS = np.array([[(1 << 8 * min(n, 8)) - 1, (1 << 8 * max(n - 8, 0)) - 1] for n in range(WIDTH + 1)], dtype="<u8")


class Numbering:
    """`number(text)` gives the numbers of the words of a text, and `words` the words by number."""

    def __init__(self) -> None:
        # a new word gets the next number, and no Python runs for it
        self.index: defaultdict[str, int] = defaultdict(itertools.count(LINE_END + 1).__next__, {"\n": LINE_END})
        self.keys = np.zeros((SLOTS, 2), dtype="<u8")  # the bytes of one word that has this slot, 0 where there is none
        self.numbers = np.zeros(SLOTS, dtype=np.int32)

    @property
    def words(self) -> list[str]:
        return list(self.index)

    def number(self, text: str) -> np.ndarray:
        """(words + line ends,) int32: words are what stands between white space, as in str.split(); a "\\n" is a 0."""
        raw = (text if text.isascii() else OTHER_SPACE.sub(" ", text)).encode("utf-8")
        size = len(raw)
        data = np.zeros(1 + size + WIDTH, dtype=np.uint8)
        data[0] = data[size + 1] = ord(" ")
        data[1 : size + 1] = np.frombuffer(raw, dtype=np.uint8)
        space, line_end = IS_SPACE[data[: size + 2]], data[: size + 2] == ord("\n")
        starts = np.flatnonzero((space[1:] < space[:-1]) | line_end[1:]) + 1
        ends = np.flatnonzero((space[1:] > space[:-1]) | line_end[:-1]) + 1
        lengths = ends - starts

        windows = np.ndarray((size + 2,), dtype=f"V{WIDTH}", buffer=data.data, strides=(1,))  # the 16 bytes from each byte on
        keys = windows[starts].view("<u8").reshape(-1, 2) & MASKS[np.minimum(lengths, WIDTH)]
        slots = _slots(keys)
        numbers = self.numbers[slots]
        other = self.keys[slots] != keys
        fits = (lengths <= WIDTH) & ("\0" not in text)  # padded with zeros, "a\0" would have the key of "a"
        missing = np.flatnonzero(other[:, 0] | other[:, 1] | ~fits)
        places = zip((starts[missing] - 1).tolist(), (ends[missing] - 1).tolist())
        numbers[missing] = np.fromiter((self.index[raw[i:j].decode("utf-8")] for i, j in places), np.int32, len(missing))

        missing = missing[fits[missing]]
        # a slot holds one word; where two want it the last has it, in both arrays: they are written one by one in order
        self.keys[slots[missing]] = keys[missing]
        self.numbers[slots[missing]] = numbers[missing]
        return numbers


def _slots(keys: np.ndarray) -> np.ndarray:
    """The slot of each key: the upper bits of a product, which depend on all bits of the key (Knuth's multiplicative hashing)."""
    mixed = (keys[:, 0] ^ keys[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F)) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(65 - SLOTS.bit_length())).astype(np.int64)
