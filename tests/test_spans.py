"""Spans in tags: what conlleval counts, by a slow reading of its rules, and by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.spans import SpanTally, are_spans, spans_of

tags = st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=8)


def slowly(tags):
    """Every stretch of tokens that is a span: it begins and ends as conlleval's startOfChunk and endOfChunk say."""
    def begins(i):
        mark, kind = tags[i][0], tags[i][2:]
        return mark == "B" or (mark == "I" and (i == 0 or tags[i - 1][2:] != kind))

    found = []
    for first in range(len(tags)):
        if tags[first] == "O" or not begins(first):
            continue
        end = first + 1
        while end < len(tags) and tags[end] != "O" and not begins(end):
            end += 1
        found.append((first, end, tags[first][2:]))
    return found


@given(tags)
def test_spans_begin_and_end_as_conlleval_says(tags):
    assert spans_of(tags) == slowly(tags)


@pytest.mark.parametrize("tags, expected", [
    ("B-PER I-PER O B-LOC", [(0, 2, "PER"), (3, 4, "LOC")]),
    ("B-PER B-PER", [(0, 1, "PER"), (1, 2, "PER")]),
    ("O I-PER I-PER", [(1, 3, "PER")]),                      # IOB1: I begins where nothing is open
    ("I-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")]),
    ("B-A-B I-A-B", [(0, 2, "A-B")]),
    ("NOUN VERB", []), ("", []),
])
def test_spans_by_hand(tags, expected):
    assert spans_of(tags.split()) == expected


@given(st.lists(st.tuples(tags, tags).map(lambda pair: tuple(part[:min(map(len, pair))] for part in pair))))
def test_the_tally_counts_spans_that_are_the_same_in_both(sentences):
    tally, there, said = SpanTally(), set(), set()
    for number, (true, predicted) in enumerate(sentences):
        tally.add(true, predicted)
        there |= {(number, *span) for span in slowly(true)}
        said |= {(number, *span) for span in slowly(predicted)}
    assert (tally.true, tally.predicted, tally.right) == (len(there), len(said), len(there & said))
    if there & said:
        p, r = tally.precision, tally.recall
        assert tally.f1 == pytest.approx(2 * p * r / (p + r))
    else:
        assert tally.f1 == 0


def test_a_part_of_a_span_or_another_type_is_nothing():
    tally = SpanTally()
    tally.add("B-PER I-PER O B-LOC O".split(), "B-PER O O B-PER O".split())
    assert (tally.precision, tally.recall, tally.f1) == (0, 0, 0)
    tally.add("B-PER I-PER O".split(), "B-PER I-PER B-LOC".split())
    assert (tally.precision, tally.recall, tally.f1) == (1 / 4, 1 / 3, 2 / 7)
    with pytest.raises(ValueError, match="expected as many tags as there are, 1, got 2"):
        tally.add(["O"], ["O", "O"])


def test_which_tags_mark_spans():
    assert are_spans(["O", "B-X", "I-X"]) and are_spans(["I-X"])
    assert not are_spans(["O"]) and not are_spans(["NOUN", "O"]) and not are_spans(["B-X", "NOUN"]) and not are_spans(["B-"])
