"""The sets of data/odd-one-out.txt keep the rules that its opening comment and a fair score rest on."""

from collections import Counter
from pathlib import Path

import pytest

from nnkit.data import load_corpus

FILE = Path(__file__).resolve().parents[2] / "data" / "odd-one-out.txt"


@pytest.fixture(scope="module")
def lines():
    return FILE.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def sets(lines):
    return [line.split(" ") for line in lines if not line.startswith(("#", ":"))]


def test_each_set_is_five_different_lowercase_words(sets):
    wrong = [words for words in sets if len(set(words)) != 5 or "" in words or " ".join(words).lower() != " ".join(words)]
    assert not wrong


def test_no_set_stands_twice_whatever_the_order_of_its_words(sets):
    counts = Counter(frozenset(words) for words in sets)
    assert len(sets) >= 120
    assert [sorted(words) for words, count in counts.items() if count > 1] == []


def test_no_word_is_so_often_used_that_its_vector_decides_the_score(sets):
    odd = Counter(words[4] for words in sets)
    grouped = Counter(word for words in sets for word in words[:4])
    assert {word: count for word, count in odd.items() if count > 4} == {}
    assert {word: count for word, count in grouped.items() if count > 5} == {}


def test_each_section_has_a_name_of_its_own_and_at_least_three_sets(lines):
    sizes, name = Counter(), None
    for line in lines:
        if line.startswith(":"):
            name = line.removeprefix(": ")
            assert name not in sizes and name.replace("_", "").isalpha(), line
            sizes[name] = 0
        elif not line.startswith("#"):
            sizes[name] += 1
    assert len(sizes) >= 8 and None not in sizes and min(sizes.values()) >= 3, sizes


def test_four_sets_in_five_are_wholly_in_the_default_vocabulary_of_python_docs(sets):
    words = frozenset(load_corpus("builtin:python-docs", 5).vocabulary.words)
    known = [words.issuperset(each) for each in sets]
    assert sum(known) >= 0.8 * len(known)
