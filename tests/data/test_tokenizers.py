"""Words of texts: the same rule from its saved form, and rules that make no sense."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.tokenizers import Tokenizer

TOKENIZERS = [Tokenizer(), Tokenizer(lower=True), Tokenizer("regex", r"\w+|[^\w\s]"), Tokenizer("characters"),
              Tokenizer(ngrams=3), Tokenizer("characters", lower=True, ngrams=2), Tokenizer("python-docs")]


def test_each_type_has_its_words():
    assert Tokenizer()("It 's  A\nfilm") == ["It", "'s", "A", "film"]
    assert Tokenizer(lower=True)("It IS") == ["it", "is"]
    assert Tokenizer("regex", r"(\w)+|!")("so-so!") == ["so", "so", "!"]
    assert Tokenizer("characters")("a\nb c") == ["a", " ", "b", " ", "c"]
    assert Tokenizer("python-docs")("The socket (0x1f)!") == ["the", "socket"]


def test_rows_of_words_follow_the_words():
    assert Tokenizer(ngrams=3)("a b c d") == ["a", "b", "c", "d", "a b", "b c", "c d", "a b c", "b c d"]
    assert Tokenizer(ngrams=3)("a") == ["a"] and Tokenizer(ngrams=2)("") == []


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=str)
@given(text=st.text(st.characters(blacklist_categories=["Cs"])))
def test_no_word_is_empty_or_has_a_line_end_and_a_saved_tokenizer_is_the_same(tokenizer, text):
    words = tokenizer(text)
    assert all(words) and not any("\n" in word for word in words)
    assert Tokenizer(**json.loads(json.dumps(tokenizer.as_dict())))(text) == words


@pytest.mark.parametrize("given_, said", [
    (("wordpiece",), "no tokenizer 'wordpiece'; there are whitespace, regex"), (("regex",), "a pattern belongs to the type"),
    (("whitespace", "a"), "a pattern belongs to the type regex"), (("regex", "(a"), "no regular expression: '\\(a'"),
    (("regex", r"\w*"), "also matches nothing at all"), (("whitespace", None, False, 0), "ngrams must be at least 1"),
])
def test_a_rule_that_makes_no_sense_is_refused(given_, said):
    with pytest.raises(ValueError, match=said):
        Tokenizer(*given_)
