import gc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnkit.data import numbering

# words of up to 40 signs over few letters meet in a small table, and some differ in their last sign alone
WORDS = st.text(alphabet="ab", min_size=1, max_size=40) | st.sampled_from(["a" * 16, "a" * 17, "a" * 16 + "b", "a" * 15 + "b"])
SPACES = st.text(alphabet=" \n\t\x0b\x0c\r\x1c\x1d\x1e\x1f", min_size=1, max_size=3)
ASCII = st.lists(WORDS | SPACES, max_size=30).map("".join)


def plain(texts):
    """The numbers by a dictionary and str.split() alone."""
    index, numbers = {"\n": 0}, []
    for text in texts:
        for i, line in enumerate(text.split("\n")):
            numbers += [0] * (i > 0) + [index.setdefault(word, len(index)) for word in line.split()]
    return list(index), numbers


@pytest.mark.parametrize("slots", [2, 1 << 18])
@given(texts=st.lists(ASCII | st.text() | st.text(alphabet="aé€😀 \u00a0\u0085\u3000\n"), max_size=4))
@example(texts=["a\0 a a\0\0", "a"])
@example(texts=["a\u00a0b\u2028c\u0085d\n"])
@example(texts=["a" * 16 + " " + "a" * 17, "a" * 17 + " " + "a" * 16])
@example(texts=["".join(map(chr, range(128))), "\n".join(map(chr, range(128)))])
def test_numbers_are_those_of_a_dictionary(slots, texts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbering, "SLOTS", slots)
        found = numbering.Numbering()
        numbers = [found.number(text) for text in texts]
    words, expected = plain(texts)
    assert found.words == words and [n for part in numbers for n in part.tolist()] == expected
    assert all(part.dtype == np.int32 for part in numbers)


def test_words_seen_before_are_found_without_the_dictionary():
    found = numbering.Numbering()
    text = " ".join(f"word{i}" for i in range(1000)) + "\n"
    numbers = found.number(text)
    found.index.clear()
    found.index.default_factory = None
    common = [word for word in text.split() if len(word) == 7]  # those that no other has driven from its slot
    kept = [word for word in common if found.keys[slot_of(word)].tobytes().rstrip(b"\0") == word.encode()]
    assert len(kept) > 0.9 * len(common)
    again = found.number(" ".join(kept))
    np.testing.assert_array_equal(again, numbers[[text.split().index(word) for word in kept]])


def slot_of(word):
    return numbering._slots(np.frombuffer(word.encode().ljust(16, b"\0"), dtype="<u8").reshape(1, 2))[0]


def test_every_white_space_of_unicode_is_known():
    spaces = {chr(i) for i in range(0x110000) if chr(i).isspace()}
    ascii_spaces = {chr(i) for i in np.flatnonzero(numbering.IS_SPACE)}
    assert spaces == ascii_spaces | {c for c in map(chr, range(0x110000)) if numbering.OTHER_SPACE.match(c)}


def test_words_of_a_text_are_freed_with_their_numbering():
    """The dictionary once held a method of its own, and 30 MB of words stayed for as long as the collector liked."""
    gc.collect()
    gc.disable()
    try:
        numbered = numbering.Numbering()
        numbered.number("a b a")
        del numbered
        assert gc.collect() == 0
    finally:
        gc.enable()
