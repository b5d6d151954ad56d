"""gensim as the oracle: files both ways, and the same answers and scores."""

import warnings

import numpy as np
import pytest

from nnkit.vectors import WordVectors, evaluate_analogies, evaluate_pairs
from tests.vectors.conftest import drawn, same

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    models = pytest.importorskip("gensim.models", reason="gensim is not installed")

KeyedVectors = models.KeyedVectors
# gensim's own: it calls what it has deprecated, and leaves files open
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"),
              pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


def theirs(vectors):
    made = KeyedVectors(vectors.matrix.shape[1], dtype=np.float32)
    made.add_vectors(vectors.words, vectors.matrix)
    return made


def agree(found, expected):
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert np.allclose([score for _, score in found], [score for _, score in expected], atol=1e-6)


@pytest.fixture
def vectors():
    words = ["the", "wörd", "\u00a0", "中文", "a\u0085b", *(f"w{i}" for i in range(300))]
    return WordVectors(words, np.random.default_rng(1).standard_normal((len(words), 20)).astype(np.float32))


@pytest.mark.case("wordvectors", 17)
@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_what_we_write(tmp_path, binary):
    vectors = drawn(300, 20)
    vectors.save_word2vec(tmp_path / "ours", binary=binary)
    read = KeyedVectors.load_word2vec_format(tmp_path / "ours", binary=binary)
    assert read.index_to_key == vectors.words and read.vectors.tobytes() == vectors.matrix.tobytes()


def test_gensim_reads_our_glove_form_and_our_gzip(tmp_path):
    vectors = drawn(30, 20)
    vectors.save(tmp_path / "ours.txt")
    vectors.save(tmp_path / "ours.vec.gz")
    assert np.array_equal(KeyedVectors.load_word2vec_format(tmp_path / "ours.txt", no_header=True).vectors, vectors.matrix)
    assert np.array_equal(KeyedVectors.load_word2vec_format(str(tmp_path / "ours.vec.gz")).vectors, vectors.matrix)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_we_read_what_gensim_writes(tmp_path, vectors, binary, end):
    path = str(tmp_path / f"theirs{end}")
    theirs(vectors).save_word2vec_format(path, binary=binary)
    assert same(WordVectors.load(path), vectors)


def test_neighbours_are_the_same(vectors):
    other = theirs(vectors)
    for word in vectors.words[:20]:
        agree(vectors.most_similar(word, 7), other.most_similar(word, topn=7))
    agree(vectors.most_similar(["w1", "w2"], ["w3", "w4", "w5"], 9), other.most_similar(["w1", "w2"], ["w3", "w4", "w5"], topn=9))
    point = np.random.default_rng(2).standard_normal(20).astype(np.float32)
    agree(vectors.most_similar(point), other.most_similar(point))
    agree(vectors.most_similar([point, "w1"], "w2"), other.most_similar([point, "w1"], "w2"))
    assert vectors.similarity("w1", "the") == pytest.approx(float(other.similarity("w1", "the")), abs=1e-6)


def test_analogies_of_both_methods_are_the_same(vectors):
    other = theirs(vectors)
    for i in range(0, 60, 3):
        a, b, c = (f"w{i + k}" for k in range(3))
        agree(vectors.analogy(a, b, c), other.most_similar([b, c], [a]))
        agree(vectors.analogy(a, b, c, method="3cosmul"), other.most_similar_cosmul([b, c], [a]))


def test_the_odd_one_out_is_the_same(vectors):
    other = theirs(vectors)
    rng = np.random.default_rng(3)
    for _ in range(50):
        words = rng.choice(vectors.words, 5, replace=False).tolist()
        assert vectors.doesnt_match(words) == other.doesnt_match(words)


def judged_words(path, columns, rng):
    """Some words of a file in small and capital letters, some left out, some in two spellings, in any order."""
    lines = [line.split()[:columns] for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(("#", ":"))]
    words = sorted({word for line in lines for word in line})
    words = [word.lower() if rng.random() < 0.5 else word for word in words if rng.random() < 0.95]
    words += [word.upper() for word in words[::7]]
    return list(dict.fromkeys(rng.permutation(words).tolist()))


@pytest.mark.parametrize("name", ["EN-WS-353-ALL.txt", "EN-SIMLEX-999.txt", "EN-MEN-TR-3k.txt"])
@pytest.mark.parametrize("restrict, folded", [(None, True), (300, True), (None, False)])
def test_scores_of_pairs_are_the_same(shared_data, name, restrict, folded):
    path = shared_data / "eval/word-sim" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    rng = np.random.default_rng(4)
    words = judged_words(path, 2, rng)
    vectors = WordVectors(words, rng.standard_normal((len(words), 10)).astype(np.float32))
    ours = evaluate_pairs(vectors, path, restrict=restrict, case_insensitive=folded)
    pearson, spearman, unknown = theirs(vectors).evaluate_word_pairs(str(path), restrict_vocab=restrict or len(words),
                                                                    case_insensitive=folded)
    assert ours.spearman == pytest.approx(spearman[0], abs=1e-5) and ours.pearson == pytest.approx(pearson[0], abs=1e-5)
    assert 100 * len(ours.skipped) / ours.total == pytest.approx(unknown)


@pytest.mark.parametrize("top, folded", [(30_000, True), (400, True), (30_000, False)])
def test_scores_of_analogies_are_the_same(shared_data, tmp_path, top, folded):
    whole = shared_data / "eval/analogy/questions-words.txt"
    if not whole.is_file():
        pytest.skip(f"no {whole}")
    path = tmp_path / "questions.txt"  # gensim takes a while for each
    lines = whole.read_text(encoding="utf-8").splitlines()
    fewer = [line for i, line in enumerate(lines) if i % 10 == 0 or line.startswith(":")]
    path.write_text("\n".join(fewer) + "\n", encoding="utf-8")
    rng = np.random.default_rng(5)
    words = judged_words(path, 4, rng)
    # one direction a column of the questions, so that some answers are right
    place = {word.upper(): i for line in lines for i, word in enumerate(line.split()) if not line.startswith(":")}
    matrix = rng.standard_normal((len(words), 10)).astype(np.float32)
    for i, word in enumerate(words):
        matrix[i] += 2 * np.eye(10, dtype=np.float32)[place.get(word.upper(), 0) % 2] + stem_vector(word)
    vectors = WordVectors(words, matrix)
    ours = evaluate_analogies(vectors, path, top=top, case_insensitive=folded)
    score, sections = theirs(vectors).evaluate_word_analogies(str(path), restrict_vocab=top, case_insensitive=folded)
    assert 0 < ours.right < ours.used < ours.total and ours.accuracy == pytest.approx(score)
    for mine, other in zip(ours.sections, sections):
        right, wrong = len(other["correct"]), len(other["incorrect"])
        assert (mine.name, mine.right, mine.used) == (other["section"], right, right + wrong)


def stem_vector(word):
    """Ten numbers that depend on a word's first letters alone: words of one stem come near each other."""
    return np.random.default_rng(list(word.lower()[:4].encode())).standard_normal(10).astype(np.float32) * 3
