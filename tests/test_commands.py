"""The commands as a person starts them: in a process of their own, with what they print and how they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SMALL = ["training.epochs=1", "model.dim=8", "training.blocks=4"]


def nnkit(*words, cwd, module="nnkit.train", **environment):
    return subprocess.run([sys.executable, "-m", module, *map(str, words)], cwd=cwd, capture_output=True, text=True,
                          encoding="utf-8", env={**os.environ, **environment}, timeout=300)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("the cat sat on the mat\nthe dog sat on the log\n" * 60, encoding="utf-8")
    return path


def train(corpus, *words, **environment):
    return nnkit(CONFIGS / "sgns.yaml", f"data.train={corpus}", *SMALL, *words, cwd=corpus.parent, **environment)


def only_line(result, code):
    """The one line on stderr that is not progress, of a command that ended with this code and without a traceback."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("nnkit ", "data ", "model ", "epoch "))]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_the_main_job_trains_on_the_text_every_python_carries(tmp_path):
    result = nnkit(CONFIGS / "sgns.yaml", *SMALL, "data.min_count=50", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{Path('runs/sgns-001')}\n"
    assert "socket →" in result.stderr and (tmp_path / "runs/sgns-001/loss.png").stat().st_size > 5_000


@pytest.mark.case("trainer", 24)
def test_no_control_character_reaches_a_file_and_no_display_is_needed(corpus):
    result = train(corpus, "training.epochs=3", MPLBACKEND="TkAgg", DISPLAY="", TERM="dumb")
    assert result.returncode == 0, result.stderr
    assert [line.split("   ")[0] for line in result.stderr.splitlines() if line.startswith("epoch")] == [
        "epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert not [c for c in result.stderr if ord(c) < 32 and c != "\n"]
    assert (corpus.parent / "runs/sgns-001/loss.png").exists()


@pytest.mark.case("trainer", 16)
@pytest.mark.case("wordvectors", 19)
def test_the_hash_seed_of_python_changes_nothing(corpus):
    for seed in ("0", "1"):
        assert train(corpus, PYTHONHASHSEED=seed).returncode == 0
    first, second = ((corpus.parent / f"runs/sgns-00{i}/vectors.vec").read_bytes() for i in (1, 2))
    assert first == second


def test_quiet_prints_the_path_alone(corpus):
    result = train(corpus, "-q")
    assert (result.returncode, result.stderr) == (0, "") and result.stdout == f"{Path('runs/sgns-001')}\n"


def test_plot_draws_one_run_and_compares_two(corpus):
    train(corpus, "-q")
    train(corpus, "-q", "optimizer.lr=0.1")
    one = nnkit("@last", "-o", "one.png", module="nnkit.plot", cwd=corpus.parent)
    both = nnkit("sgns-001", "runs/sgns-002", "-o", "both.png", module="nnkit.plot", cwd=corpus.parent)
    assert (one.returncode, both.returncode) == (0, 0), one.stderr + both.stderr
    assert (corpus.parent / "one.png").stat().st_size > 5_000 and (corpus.parent / "both.png").stat().st_size > 5_000


@pytest.mark.case("trainer", 8)
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_saves_and_says_how_to_resume_and_resume_goes_on(corpus):
    words = [CONFIGS / "sgns.yaml", f"data.train={corpus}", *SMALL, "training.epochs=10000"]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen([sys.executable, "-m", "nnkit.train", *words], cwd=corpus.parent, **pipes) as process:
        until = time.monotonic() + 60
        while not (corpus.parent / "runs/sgns-001/checkpoints/last.npz").exists() and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "SIGINT: finishing this step" in said and f"nnkit train --resume {Path('runs/sgns-001')}" in said
    assert "Traceback" not in said
    resumed = nnkit("--resume", "sgns-001", "training.epochs=1", cwd=corpus.parent)
    assert "has all its 1 epochs" in only_line(resumed, 1)


# Mistakes: one clear line, the right exit code

def test_a_missing_config_names_the_path_that_was_tried(tmp_path):
    assert str(tmp_path / "nowhere.yaml") in only_line(nnkit("nowhere.yaml", cwd=tmp_path), 2)


def test_no_config_at_all_is_a_usage_error(tmp_path):
    result = nnkit(cwd=tmp_path)
    assert result.returncode == 2 and "a config is missing" in result.stderr


def test_a_missing_corpus_names_the_path_that_was_tried(corpus):
    assert str(corpus.parent / "nix.txt") in only_line(train(corpus, "data.train=nix.txt"), 1)
    assert not list((corpus.parent / "runs").iterdir())


@pytest.mark.case("wordvectors", 3)
def test_a_corpus_of_rare_words_says_how_many_and_what_to_lower(corpus):
    line = only_line(train(corpus, "data.min_count=1000"), 1)
    assert "720 tokens" in line and "7 distinct" in line and "240 times" in line and "data.min_count" in line


@pytest.mark.case("wordvectors", 4)
def test_a_vocabulary_of_one_word_is_refused(corpus):
    corpus.write_text("word word word\n" * 9, encoding="utf-8")
    assert "at least 2 words" in only_line(train(corpus), 1)


def test_an_empty_corpus_is_named(corpus):
    corpus.write_text("", encoding="utf-8")
    assert str(corpus) in only_line(train(corpus), 1)


@pytest.mark.case("wordvectors", 10)
def test_a_byte_that_is_no_utf8_is_named_with_line_and_offset(corpus):
    corpus.write_bytes(b"good line\n caf\xe9 latin1\n good\n" * 9)
    line = only_line(train(corpus), 1)
    assert "corpus.txt:2" in line and "data.errors" in line


@pytest.mark.case("trainer", 2)
@pytest.mark.case("autograd", 42)
def test_a_misspelt_key_says_what_was_meant(corpus):
    assert "here it is called optimizer.lr" in only_line(train(corpus, "learning_rate=0.1"), 2)
    assert "did you mean 'window'?" in only_line(train(corpus, "model.windw=3"), 2)


@pytest.mark.parametrize("option, key", [
    (["-size", "200"], "model.dim"), (["-size=200"], "model.dim"), (["-iter", "5"], "training.epochs"),
    (["-threads", "2"], "training.workers"),
    (["-train", "my text.txt"], "data.train"), (["-alpha", "-0.1"], "optimizer.lr"), (["-minCount", "2"], "data.min_count"),
    (["-output", "vec.bin"], "--out DIR"), (["-binary", "1"], "--to word2vec-binary"),
    (["-cbow", "0"], "sgns is skip-gram")])
def test_an_option_of_word2vec_is_answered_with_the_key_that_is_meant(corpus, option, key):
    line = only_line(train(corpus, *option), 2)
    assert line.startswith(f"command line: {'='.join(option)}: unknown key '{option[0].partition('=')[0]}'; ") and key in line
    assert not (corpus.parent / "runs").exists()


def test_an_unknown_option_takes_no_config_away(corpus):
    result = nnkit("-xyz", CONFIGS / "sgns.yaml", cwd=corpus.parent)
    assert result.returncode == 2 and "unrecognized arguments: -xyz" in result.stderr


def test_a_list_and_a_folder_of_texts_are_one_text(corpus):
    (corpus.parent / "texts").mkdir()
    for name in ("texts/a.txt", "texts/b.txt"):
        (corpus.parent / name).write_bytes(corpus.read_bytes())
    several = train(corpus, "data.train=[texts/a.txt,texts/b.txt]")
    folder = train(corpus, "data.train=texts")
    assert (several.returncode, folder.returncode) == (0, 0), several.stderr + folder.stderr
    assert f"{corpus.parent / 'texts/a.txt'} and 1 more   1,440 tokens" in several.stderr
    first, second = ((corpus.parent / f"runs/sgns-00{i}/vectors.vec").read_bytes() for i in (1, 2))
    assert first == second
    line = only_line(train(corpus, "data.train=[texts/a.txt,texts/c.txt]"), 1)
    assert str(corpus.parent / "texts/c.txt") in line


@pytest.mark.case("wordvectors", 23)
def test_the_vocabulary_of_one_run_serves_another_and_a_text_it_hardly_knows_gets_a_notice(corpus):
    assert train(corpus, "-q").returncode == 0
    words = (corpus.parent / "runs/sgns-001/vocab.txt").read_bytes()
    other = corpus.parent / "other.txt"
    other.write_text("the cat and the bird and the fish and the frog\n" * 60, encoding="utf-8")
    result = train(corpus, f"data.train={other}", "data.vocabulary=runs/sgns-001/vocab.txt", "data.subsample=0.1")
    assert result.returncode == 0, result.stderr
    vocabulary = corpus.parent / "runs/sgns-001/vocab.txt"
    assert f"{other}   660 tokens, 7 words of {vocabulary}, subsampling leaves out 12%" in result.stderr
    notices = [line for line in result.stderr.splitlines() if line.startswith("notice  ")]
    assert notices == [f"notice  {vocabulary} knows only 45% of the 660 tokens of {other}"]
    run = corpus.parent / "runs/sgns-002"
    assert notices[0] in (run / "train.log").read_text(encoding="utf-8")
    assert (run / "vocab.txt").read_bytes() == words and (run / "vectors.vec").read_bytes().startswith(b"7 8\n")
    assert train(corpus, f"data.train={other}", "-q", "data.vocabulary=runs/sgns-002/vocab.txt").returncode == 0


def test_a_vocabulary_that_changed_does_not_go_with_the_run_it_was_for(corpus):
    words = corpus.parent / "words.txt"
    words.write_text("the 240\ncat 60\nsat 60\n", encoding="utf-8")
    assert train(corpus, f"data.vocabulary={words}", "-q").returncode == 0
    words.write_text("the 240\nsat 60\ncat 60\n", encoding="utf-8")
    resumed = nnkit("--resume", "sgns-001", "training.epochs=2", cwd=corpus.parent)
    assert "the data is not what it was" in only_line(resumed, 1)


@pytest.mark.case("trainer", 1)
@pytest.mark.case("autograd", 42)
def test_a_rate_of_1e_minus_3_is_a_number(corpus):
    result = train(corpus, "optimizer.lr=1e-3", "schedule={type: constant}")
    assert result.returncode == 0, result.stderr
    assert '"lr": 0.001,' in (corpus.parent / "runs/sgns-001/metrics.jsonl").read_text(encoding="utf-8")


@pytest.mark.case("trainer", 7)
def test_a_run_that_exists_is_not_overwritten(corpus):
    assert train(corpus, "--out", "mine").returncode == 0
    before = (corpus.parent / "mine/run.json").read_bytes()
    result = train(corpus, "--out", "mine")
    assert result.returncode == 2 and "--resume mine" in result.stderr and "--force" in result.stderr
    assert (corpus.parent / "mine/run.json").read_bytes() == before
    assert train(corpus, "--out", "mine", "--force").returncode == 0


@pytest.mark.case("trainer", 19)
@pytest.mark.case("wordvectors", 21)
def test_a_rate_that_makes_the_loss_nan_ends_with_3_and_no_vectors(corpus):
    line = only_line(train(corpus, "optimizer.lr=1e39", "training.epochs=50"), 3)
    assert "step" in line and "lr" in line and "Try a smaller optimizer.lr" in line
    assert not (corpus.parent / "runs/sgns-001/vectors.vec").exists()


def test_an_unknown_command_lists_those_there_are(tmp_path):
    result = nnkit("trian", module="nnkit", cwd=tmp_path)
    assert result.returncode == 2 and "train" in result.stderr and "plot" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
def test_sigterm_before_the_first_step_leaves_no_folder_and_puts_the_replaced_run_back(corpus):
    assert train(corpus, "-q", "--out", "mine").returncode == 0
    before = (corpus.parent / "mine/run.json").read_bytes()
    (corpus.parent / "slow.py").write_text("import time\nfrom nnkit.training import Recipe, RunConfig\nclass Slow(Recipe):\n"
                                           "    Config = RunConfig\n    def __init__(self, config):\n        time.sleep(60)\n")
    (corpus.parent / "slow.yaml").write_text("recipe: slow.py\n")
    words = ["slow.yaml", "--out", "mine", "--force"]
    with subprocess.Popen([sys.executable, "-m", "nnkit.train", *words], cwd=corpus.parent, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"data    reading" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert process.returncode == 143 and b"Traceback" not in said
    assert (corpus.parent / "mine/run.json").read_bytes() == before and not (corpus.parent / "mine.replaced").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_a_full_disk_is_one_line(corpus, tmp_path):
    script = ("import nnkit.training.metrics as m, sys\n"
              "class Full(m.MetricsLog):\n"
              "    def __init__(self, *a):\n        super().__init__(*a)\n        self._file.close()\n"
              "        self._file = open('/dev/full', 'wb')\n"
              "    def close(self):\n        self._file.raw.close()\n"
              "import nnkit.training.session as s; s.MetricsLog = Full\n"
              "import nnkit.train; sys.exit(nnkit.train.main(sys.argv[1:]))\n")
    words = [CONFIGS / "sgns.yaml", f"data.train={corpus}", *SMALL]
    result = subprocess.run([sys.executable, "-c", script, *words], cwd=corpus.parent, capture_output=True, text=True, timeout=60)
    assert "No space left on device; what was saved before is whole" in only_line(result, 1)


def test_more_than_the_memory_holds_is_one_line(corpus):
    assert "not enough memory (Unable to allocate" in only_line(train(corpus, "model.dim=1000000000000"), 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_saves_where_the_reader_of_the_output_is_gone_with_it(corpus):
    words = [CONFIGS / "sgns.yaml", f"data.train={corpus}", *SMALL, "training.epochs=100000", "save.every=100000 steps"]
    pipes = {"stderr": subprocess.STDOUT, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "nnkit.train", *words], cwd=corpus.parent, **pipes) as process:
        while b"epoch" not in process.stdout.readline():
            pass
        process.stdout.close()  # as `tee` does
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    run = corpus.parent / "runs/sgns-001"
    assert '"status": "interrupted"' in (run / "run.json").read_text(encoding="utf-8")
    assert (run / "checkpoints/last.npz").exists() and (run / "vectors.vec").exists()


def test_force_without_a_folder_to_replace_is_a_usage_error(corpus):
    result = train(corpus, "--force")
    assert result.returncode == 2 and "--force replaces the run that --out names" in result.stderr
