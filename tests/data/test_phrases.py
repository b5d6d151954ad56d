import bz2
import gzip
import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data import files, join_phrases, learn_phrases, phrases, read_sentences

SENTENCES = st.lists(st.lists(st.sampled_from("abcde"), max_size=12), max_size=12)
# 12 words; new 4, york 3, in 3, is 1, big 1; "new york" stands there 3 times, "in new" twice
NEW_YORK = [["in", "new", "york", "is", "big"], ["in", "new", "york"], ["new", "york"], ["new", "in"]]


def test_scores_are_those_worked_out_by_hand():
    found = learn_phrases(NEW_YORK, min_count=1, threshold=0)
    assert found == pytest.approx({("new", "york"): (3 - 1) / (4 * 3) * 12, ("in", "new"): (2 - 1) / (3 * 4) * 12})
    assert list(found) == [("new", "york"), ("in", "new")]  # 2 and 1
    assert list(learn_phrases(NEW_YORK, min_count=1, threshold=1)) == [("new", "york")]  # above, not at it
    assert ("is", "big") in learn_phrases(NEW_YORK, min_count=1, threshold=11, discount=0)  # 1 / (1 · 1) · 12
    assert learn_phrases(NEW_YORK, min_count=3, threshold=0, discount=0) == {("new", "york"): 3.0}


def test_pairs_are_joined_from_the_left_and_no_word_twice():
    pairs = {("a", "b"), ("b", "c"), ("a", "a")}
    joined = join_phrases([["a", "b", "c"], ["a", "a", "a"], [], ["b"], ["a"], ["b", "c", "a"]], pairs, separator="+")
    assert list(joined) == list(joined) == [["a+b", "c"], ["a+a", "a"], [], ["b"], ["a"], ["b+c", "a"]]


def test_second_pass_makes_phrases_of_three_words():
    text = [["new", "york", "times"], ["new", "york"], ["the", "times"]] * 10
    once = join_phrases(text, learn_phrases(text, min_count=1, threshold=2))
    twice = join_phrases(once, learn_phrases(once, min_count=1, threshold=1))
    assert next(iter(once)) == ["new_york", "times"] and next(iter(twice)) == ["new_york_times"]


@given(SENTENCES, st.integers(0, 3), st.integers(2, 6))
def test_counting_in_chunks_equals_counting_every_pair_in_a_dictionary(sentences, min_count, chunk):
    words = Counter(word for words in sentences for word in words)
    pairs = Counter(pair for words in sentences for pair in zip(words, words[1:]))
    total = sum(words.values())
    expected = {
        (a, b): (n - min_count) / (words[a] * words[b]) * total for (a, b), n in pairs.items() if n > min_count
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phrases, "CHUNK", chunk)
        found = learn_phrases(sentences, min_count, 0.0)
    assert found == pytest.approx(expected)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_more_pairs_than_there_is_room_for_cost_those_that_are_rare(monkeypatch):
    """Memory is bounded as in word2phrase: what is frequent is found although most pairs are forgotten."""
    monkeypatch.setattr(phrases, "CHUNK", 100)
    sizes, merge = [], phrases._merge
    monkeypatch.setattr(phrases, "_merge", lambda *arguments: sizes.append(len(arguments[0])) or merge(*arguments))
    sentences = [["new", "york", f"w{i}", f"w{i * 7 % 2000}"] for i in range(2000)] * 2
    found = learn_phrases(sentences, min_count=1, threshold=1.5, max_pairs=200)
    assert list(found) == [("new", "york")] and max(sizes) <= 200


def test_one_line_of_text_is_counted_and_joined_piece_by_piece(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes(b"new york is new york " * 5)
    monkeypatch.setattr(files, "BLOCK", 4)
    monkeypatch.setattr(phrases, "CHUNK", 3)
    sentences = read_sentences(path)
    assert sum(1 for _ in sentences.pieces()) > 10
    pairs = learn_phrases(sentences, min_count=1, threshold=1.6)
    assert pairs == learn_phrases(list(sentences), min_count=1, threshold=1.6) and ("new", "york") in pairs
    assert list(join_phrases(sentences, pairs)) == list(join_phrases(list(sentences), pairs))


@pytest.mark.parametrize("separator", ["", " ", "a b", "_\n", "\u00a0"])
def test_separator_that_would_part_the_words_again_is_refused(separator):
    with pytest.raises(ValueError, match="separator"):
        join_phrases([["a"]], {}, separator)


@pytest.mark.case("wordvectors", 5)
@pytest.mark.case("wordvectors", 7)
@pytest.mark.parametrize("wrong", [iter([["a", "b"]]), "a b", ["a b"]])
def test_what_are_no_lists_of_words_is_refused(wrong):
    with pytest.raises(TypeError):
        learn_phrases(wrong)


def test_text_without_a_frequent_word_has_no_phrases():
    assert learn_phrases([], min_count=1) == learn_phrases([["a", "b"]]) == {}


# ---- the program


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("in new york times\n\nthe new york\nof times\n" * 6, encoding="utf-8", newline="\n")
    return path


@pytest.mark.parametrize("suffix, read", [("txt", lambda b: b), ("gz", gzip.decompress), ("bz2", bz2.decompress)])
def test_program_writes_the_text_with_its_phrases(text, tmp_path, capsys, suffix, read, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 8)
    output = tmp_path / f"joined.{suffix}"
    assert phrases.main([str(text), str(output), "--threshold", "2"]) == 0
    assert read(output.read_bytes()).decode() == "in new_york times\n\nthe new_york\nof times\n" * 6
    assert capsys.readouterr().err == "pass 1: 1 phrases: new_york\n"
    assert phrases.main([str(text), str(output), "--threshold", "2", "0.4", "--passes", "2", "--force"]) == 0
    assert read(output.read_bytes()).decode().startswith("in_new_york times\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [output.name, text.name]


@pytest.mark.parametrize(
    "arguments, message, code",
    [
        (["none.txt", "out.txt"], "none.txt: no such file", 1),
        (["text.txt", "text.txt"], "text.txt: is there already; add --force", 1),
        (["text.txt", "no/out.txt"], "no/out.txt: there is no folder", 1),
        (["text.txt", ".", "--force"], ".: is a folder", 1),
        (["text.txt", "out.txt", "--passes", "0"], "--passes 0: at least 1", 2),
        (["text.txt", "out.txt", "--passes", "3", "--threshold", "1", "2"], "2 numbers for 3 passes", 2),
        (["text.txt", "out.txt", "--separator", " "], "without white space", 2),
        (["bad.txt", "out.txt"], "bad.txt:2: byte 4 (0xff) is not UTF-8", 1),
    ],
)
def test_mistake_is_one_line_and_leaves_no_file(text, arguments, message, code):
    (text.parent / "bad.txt").write_bytes(b"a b\n\xff")
    run = subprocess.run(
        [sys.executable, "-m", "nnkit.data.phrases", *arguments], cwd=text.parent, capture_output=True, text=True
    )
    assert run.returncode == code and message in run.stderr.splitlines()[-1] and "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) == 1 or code == 2  # argparse shows the usage, too
    assert sorted(path.name for path in text.parent.iterdir()) == ["bad.txt", "text.txt"]


GENSIM = """
import json, sys
from gensim.models.phrases import Phrases
sentences, min_count, threshold = json.load(sys.stdin)
model = Phrases(sentences, min_count=min_count, threshold=1, delimiter=" ", scoring="default")
# its formula has the number of its entries in the place of the number of words
scale = sum(map(len, sentences)) / len(model.vocab)
model.threshold = threshold / scale
json.dump([{k: v * scale for k, v in model.export_phrases().items()}, [list(model[s]) for s in sentences]], sys.stdout)
"""


def test_phrases_are_those_of_gensim(shared_data):
    """NNKIT_GENSIM_PYTHON names a Python that has gensim, where the one of the tests has none."""
    python = os.environ.get("NNKIT_GENSIM_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import gensim"], capture_output=True).returncode:
        pytest.skip(f"no gensim in {python}; set NNKIT_GENSIM_PYTHON")
    (words,) = read_sentences(shared_data / "corpora" / "enwiki2015" / "enwiki2015_1M_tokens.txt.gz")
    sentences = [words[i : i + 50] for i in range(0, len(words), 50)]
    given = json.dumps([sentences, 5, 50.0])
    run = subprocess.run([python, "-W", "ignore", "-c", GENSIM], input=given, check=True, capture_output=True, text=True)
    scores, joined = json.loads(run.stdout)
    found = learn_phrases(sentences, 5, 50.0)
    assert len(found) > 1500
    assert {" ".join(pair): score for pair, score in found.items()} == pytest.approx(scores)
    assert list(join_phrases(sentences, found, separator="_")) == [[w.replace(" ", "_") for w in s] for s in joined]


def test_output_that_cannot_be_written_is_one_line(text, tmp_path, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    for broken in ((phrases, "_write"), (phrases.tempfile, "TemporaryDirectory")):
        monkeypatch.setattr(*broken, full)
        assert phrases.main([str(text), str(tmp_path / "out.txt")]) == 1
        assert capsys.readouterr().err.endswith("out.txt: cannot be written: No space left on device\n")
        assert [path.name for path in tmp_path.iterdir()] == [text.name]
