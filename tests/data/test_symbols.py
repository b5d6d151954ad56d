"""Texts as symbols: where lines end, what a context reaches, which symbols are known, and how a text is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.symbols import END, KNOWN, UNKNOWN, Contexts, Symbols, read_text
from nnkit.errors import DataError


@pytest.fixture
def text_of(tmp_path):
    """text_of("a b\n", unit) reads a file of it."""
    def read(text, unit="words", **options):
        (tmp_path / "t.txt").write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return read_text(tmp_path / "t.txt", unit, **options)
    return read


def symbols_of(text):
    return [text.names[i] for i in text.numbers.tolist()]


@pytest.mark.parametrize("written, unit, expected", [
    ("the cat\n\nx", "words", ["the", "cat", "\n", "\n", "x", "\n"]),
    ("the cat\r\n a\tb \r\n", "words", ["the", "cat", "\n", "a", "b", "\n"]),
    ("ab\r\n\r\nc", "characters", ["a", "b", "\n", "\n", "c", "\n"]),
    (" é\u2028𝄞\n", "characters", [" ", "é", "\u2028", "𝄞", "\n"]),
    ("\ufeffa\n", "characters", ["a", "\n"]),
])
def test_a_text_is_its_symbols_and_an_end_for_each_line(text_of, written, unit, expected):
    text = text_of(written, unit)
    assert symbols_of(text) == expected and text.numbers.dtype == np.int32
    assert text.lines.tolist() == [len(line) + 1 for line in split_at_ends(expected)]


def split_at_ends(symbols):
    lines = [[]]
    for symbol in symbols:
        lines.append([]) if symbol == "\n" else lines[-1].append(symbol)
    return lines[:-1]


def test_a_million_characters_without_a_blank_are_a_text_of_characters(text_of):
    assert len(text_of("acgt" * 300_000, "characters").numbers) == 1_200_001


@given(st.lists(st.lists(st.sampled_from(["a", "bé", "ccc", "𝄞"]), max_size=4), min_size=1, max_size=8))
def test_characters_are_counted_as_the_text_is_written_in_both_units(tmp_path_factory, lines):
    written = "".join(" ".join(line) + "\n" for line in [*lines, ["x"]])
    path = tmp_path_factory.mktemp("t") / "t.txt"
    path.write_text(written, encoding="utf-8", newline="\n")
    for unit in ("words", "characters"):
        text = read_text(path, unit)
        assert text.characters == len(written)
        full = [line for line in split_at_ends(symbols_of(text)) if line]
        assert split_at_ends(symbols_of(text.without_empty_lines())) == full


@given(st.lists(st.lists(st.integers(1, 5), max_size=5), min_size=1, max_size=6), st.integers(1, 7), st.booleans())
def test_a_context_is_what_stands_before_and_never_reaches_into_another_line(lines, size, running):
    """The oracle: a walk over the lines, symbol by symbol."""
    classes = np.array([symbol for line in lines for symbol in (*line, END)], np.int32)
    contexts, following = Contexts(classes, size, None if running else 9).of(slice(None))
    expected, before = [], [END if running else 9] * size
    for line in lines:
        before = before if running else [9] * size
        for symbol in (*line, END):
            expected.append((before[-size:], symbol))
            before = [*before, symbol]
    assert list(zip(contexts.tolist(), following.tolist())) == expected
    assert contexts.dtype == np.int32


def test_known_are_the_most_frequent_symbols_of_the_text_that_is_counted(text_of):
    counted = Symbols.count(text_of("b a b c\nb a\n"), min_count=2)
    assert counted.vocabulary.words == ["b", "a"] and counted.n_classes == counted.start == 4
    assert counted.encode(text_of("a z b\n\n")).tolist() == [KNOWN + 1, UNKNOWN, KNOWN, END, END]
    assert Symbols.count(text_of("b a b c a d\n"), max_size=2).vocabulary.words == ["b", "a"]


def test_a_text_that_has_the_unknown_word_means_it(text_of):
    counted = Symbols.count(text_of("<unk> a <unk> b </s>\n"))
    assert counted.vocabulary.words == ["a", "b", "</s>"]
    assert counted.encode(text_of("<unk> a </s>\n")).tolist() == [UNKNOWN, KNOWN, KNOWN + 2, END]
    assert counted.class_of("<unk>") == UNKNOWN


@pytest.mark.parametrize("unit, written", [("words", "the cat\n\nsat on\n"), ("characters", " a  b\n\nc\n")])
def test_what_is_parted_is_joined_again_and_a_prompt_is_read_as_a_file_is(text_of, unit, written):
    text = text_of(written, unit)
    known = Symbols.count(text)
    classes = [known.class_of(symbol) for symbol in known.parted(written)]
    assert classes == known.encode(text).tolist() and known.joined(classes) == written
    assert known.parted(written.replace("\n", "\r\n")) == known.parted(written)


def test_a_vocabulary_is_saved_with_blanks_and_odd_signs_among_its_characters(text_of, tmp_path):
    known = Symbols.count(text_of(" a\u2028b\x0b\u00a0é\n", "characters"))
    known.save(tmp_path / "vocab.txt")
    again = Symbols.load(tmp_path / "vocab.txt", "characters")
    assert again.vocabulary.words == known.vocabulary.words and again.n_classes == 2 + 7


@given(st.integers(8, 40), st.floats(0.01, 0.4), st.floats(0.01, 0.4), st.booleans(), st.integers(0, 3))
def test_the_parts_of_a_text_are_all_of_it_none_empty_and_nothing_twice(n, dev, test, running, seed):
    numbers = np.array([x for i in range(1, n + 1) for x in (i, 0)], np.int32)
    text = make_text(numbers, n)
    parts = text.cut([dev, test], None if running else np.random.default_rng(seed))
    words = [part.numbers[part.numbers > 0].tolist() for part in parts]
    every = [word for part in words for word in part]
    assert sorted(every) == list(range(1, n + 1)) and all(part.numbers[-1] == 0 for part in parts)
    if running:
        assert every == list(range(1, n + 1))
    else:
        assert [len(part) for part in words[1:]] == [max(1, round(share * n)) for share in (dev, test)]
        assert all(part == sorted(part) for part in words)


def make_text(numbers, n):
    from nnkit.data.symbols import Text
    return Text(numbers, ["\n", *(f"w{i}" for i in range(1, n + 1))], "words", "t.txt")


@pytest.mark.parametrize("written, unit, said", [
    ("", "words", "t.txt: no words in it"), ("\n \n", "words", "t.txt: no words in it"),
    ("\n\n", "characters", "t.txt: no characters in it"),
    (b"abc\nd\xe9f\n", "words", r"t.txt:2: byte 5 \(0xe9\) is not UTF-8; convert the file, or set data.errors: replace"),
    (b"abc\nd\xe9f\n", "characters", r"t.txt:2: byte 5 \(0xe9\) is not UTF-8; convert the file, or set data.errors: replace"),
])
def test_what_is_no_text_is_named(text_of, written, unit, said):
    with pytest.raises(DataError, match=said):
        text_of(written, unit)


def test_bytes_that_are_not_utf_8_are_replaced_where_that_is_asked_for(text_of):
    assert symbols_of(text_of(b"d\xe9f\n", "characters", errors="replace")) == ["d", "\ufffd", "f", "\n"]


def test_too_short_a_text_is_not_cut(text_of):
    with pytest.raises(DataError, match=r"t\.txt: 1 line in it, too few for 2 parts; lower data\.dev"):
        text_of("only one line\n").cut([0.1], np.random.default_rng(0))
    with pytest.raises(DataError, match=r"2 lines in it, too few for 3 parts"):
        text_of("a\nb\n").cut([0.1, 0.1], np.random.default_rng(0))


def test_another_unit_is_a_value_error(text_of):
    with pytest.raises(ValueError, match="unit must be one of characters, words, not 'bytes'"):
        text_of("a", "bytes")
