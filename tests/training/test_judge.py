"""The best model of a run: chosen by a signed measure, kept, handed over; and a training that ends when nothing gets better."""

import json
import math
import signal
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnkit
from nnkit.training import loop
from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.judge import Judge

VALUES = st.lists(st.one_of(st.floats(-10, 10), st.sampled_from([math.nan, math.inf, -math.inf])), min_size=1, max_size=30)

RECIPE = """\
import numpy as np
from nnkit import losses, nn
from nnkit.training import Recipe, RunConfig


class Batch:
    def __init__(self, x):
        self.x, self.count, self.units = x, len(x), len(x)


class Line(Recipe):
    Config = RunConfig
    measures = ("dev_loss", "dev_score")
    dev = [5.0, 3.0, 1.0, 2.0, 4.0, 4.5, 0.5, 6.0]  # what each evaluation finds

    def __init__(self, config):
        super().__init__(config)
        self.x = np.random.default_rng(0).standard_normal((11, 3)).astype(np.float32)
        self.units_per_epoch = len(self.x)
        self.seen = 0

    def build(self, rng):
        return nn.Linear(3, 1, rng=rng)

    def batches(self, epoch, rng, start=0):
        order = rng.permutation(len(self.x))
        for first in range(4 * start, len(order), 4):
            yield Batch(self.x[order[first:first + 4]])

    def loss(self, model, batch):
        return losses.mean_squared_error(model(batch.x), batch.x[:, :1])

    def evaluate(self, model):
        epoch = self.seen
        self.seen += 1
        return {"dev_loss": self.dev[epoch % 8], "dev_score": -self.dev[epoch % 8]}

    def report(self, model):
        return ["weight " + " ".join(f"{w:.6f}" for w in model.weight.value[:, 0])]
"""


@pytest.fixture
def line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line.py").write_text(RECIPE, encoding="utf-8")
    config = tmp_path / "line.yaml"
    config.write_text("recipe: line.py\noptimizer: {lr: 0.05}\ntraining: {epochs: 8}\neval: {monitor: -dev_loss}\n",
                      encoding="utf-8")
    return config


@given(VALUES, st.sampled_from("+-"), st.integers(1, 5))
def test_the_best_is_the_first_extreme_of_the_finite_values_and_patience_counts_since(values, sign, patience):
    judge = Judge(f"{sign}m", patience)
    for step, value in enumerate(values):
        judge.sees({"m": value, "epoch": 0, "step": step})
    finite = [(v if sign == "+" else -v, -i) for i, v in enumerate(values) if math.isfinite(v)]
    if not finite:
        assert judge.best is None and judge.waited == len(values)
        return
    assert judge.step == -max(finite)[1] and judge.best == values[judge.step]
    assert judge.waited == len(values) - 1 - judge.step and judge.gives_up == (judge.waited >= patience)
    other = Judge(f"{sign}m", patience)
    other.load_state(json.loads(json.dumps(judge.state())))
    assert other.state() == judge.state()


@pytest.mark.case("trainer", 14)
@pytest.mark.parametrize("monitor", ["-dev_loss", "+dev_score"])
def test_best_is_kept_and_is_what_a_run_hands_over(line, monitor):
    weights = []
    run = nnkit.fit(line, [f"eval.monitor={monitor}"], quiet=True, on_log=lambda row: weights.append(row["event"]))
    assert weights.count("eval") == 8
    best = run.directory.read_run()["best"]
    assert (best["monitor"], abs(best["value"]), best["epoch"], best["step"]) == (monitor, 0.5, 7, 21)
    arrays, meta = load_checkpoint(run.directory.path("checkpoints/best.npz"))
    np.testing.assert_array_equal(run.model.weight.value, arrays["model/weight"])
    last, _ = load_checkpoint(run.directory.path("checkpoints/last.npz"))
    assert (last["model/weight"] != arrays["model/weight"]).any() and meta["epoch"] == 7
    assert [row["epoch"] for row in run.metrics if row.get("best")] == [1, 2, 3, 7]


@pytest.mark.case("trainer", 14)
def test_early_stopping_ends_with_0_and_goes_on_with_more_patience(line):
    run = nnkit.fit(line, ["training.patience=3"], quiet=True)
    assert run.exit_code == 0 and run.directory.read_run()["status"] == "finished"
    assert run.metrics[-1]["epoch"] == 6 and run.directory.read_run()["best"]["epoch"] == 3
    best, last = (load_checkpoint(run.directory.path(f"checkpoints/{name}.npz"))[0]["model/weight"] for name in ("best", "last"))
    np.testing.assert_array_equal(run.model.weight.value, best)
    assert (best != last).any()
    with pytest.raises(nnkit.UserError, match=r"ended early, for -dev_loss became no better in 3 evaluations; .*patience=N"):
        nnkit.resume(run.path, quiet=True)
    longer = nnkit.resume(run.path, ["training.patience=9"], quiet=True)
    assert longer.metrics[-1]["epoch"] == 8 and longer.directory.read_run()["status"] == "finished"


@pytest.mark.case("trainer", 15)
@pytest.mark.parametrize("overrides, said", [
    (["eval.monitor=dev_loss"], r"eval\.monitor: expected a sign and a measure, .*got 'dev_loss'"),
    (["eval.monitor=+dev_f2"], r"eval\.monitor: Line measures no dev_f2; there is dev_loss, dev_score, train_loss"),
    (["eval.monitor=null", "training.patience=2"],
     r"command line: training\.patience=2: training\.patience: waits for a measure .*eval\.monitor"),
    (["eval.monitor=null", "schedule={type: plateau}"], r"schedule\.type: waits for a measure .*set eval\.monitor"),
])
def test_a_monitor_that_cannot_be_is_refused_before_training(line, overrides, said):
    with pytest.raises(nnkit.ConfigError, match=said) as error:
        nnkit.fit(line, overrides, quiet=True)
    assert error.value.exit_code == 2 and "\n" not in str(error.value)
    assert not (line.parent / "runs").exists() or not list((line.parent / "runs").iterdir())


def test_a_plateau_lowers_the_rate_where_the_monitor_gets_no_better(line):
    run = nnkit.fit(line, ["schedule={type: plateau, patience: 1, factor: 0.5}"], quiet=True)
    rates = [row["lr"] for row in run.metrics if row["event"] == "eval"]
    assert rates == [0.05] * 5 + [0.025] * 3  # the third evaluation is the best until the seventh


@pytest.mark.case("trainer", 17)
@pytest.mark.parametrize("together", [2, 3, 5])
def test_accumulated_gradients_are_those_of_one_large_batch(line, together):
    text = (line.parent / "line.py").read_text(encoding="utf-8")
    (line.parent / "large.py").write_text(text.replace("range(4 * start, len(order), 4)",
                                                       f"range({4 * together} * start, len(order), {4 * together})")
                                          .replace("first + 4]", f"first + {4 * together}]"), encoding="utf-8")
    one = nnkit.fit(line, [f"training.accumulate={together}"], quiet=True)
    other = nnkit.fit(line, ["recipe=large.py"], quiet=True)
    np.testing.assert_allclose(one.model.weight.value, other.model.weight.value, rtol=1e-5)
    assert one.metrics[-1]["step"] == other.metrics[-1]["step"]
    logged = [[row["train_loss"] for row in run.metrics] for run in (one, other)]
    np.testing.assert_allclose(*logged, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["SGD, lr: 0.05, momentum: 0.9", "Adagrad", "Adam", "AdamW, betas: [0.8, 0.9]", "RMSProp"])
@pytest.mark.parametrize("schedule", ["{type: cosine, warmup: 0.2}", "{type: plateau, patience: 0}"])
def test_every_optimizer_and_the_judge_resume_to_the_bit(line, monkeypatch, optimizer, schedule):
    settings = [f"optimizer={{type: {optimizer}}}", "training.clip_norm=0.5", "training.clip_value=0.4", f"schedule={schedule}",
                "eval.monitor=-train_loss"]
    unbroken = nnkit.fit(line, settings, quiet=True)
    with monkeypatch.context() as patch:
        after_step = loop.Trainer.after_step

        def stopping(trainer, batches):
            after_step(trainer, batches)
            if trainer.position.step == 14:
                signal.raise_signal(signal.SIGINT)

        patch.setattr(loop.Trainer, "after_step", stopping)
        broken = nnkit.fit(line, settings, quiet=True)
    assert broken.exit_code == 130
    resumed = nnkit.resume(broken.path, quiet=True)
    one, other = (load_checkpoint(run.directory.path("checkpoints/last.npz")) for run in (unbroken, resumed))
    assert one[0].keys() == other[0].keys() and all(one[0][name].tobytes() == other[0][name].tobytes() for name in one[0])
    assert one[1]["judge"] == other[1]["judge"] and one[1]["schedules"] == other[1]["schedules"]
    assert [row["lr"] for row in unbroken.metrics] == [row["lr"] for row in resumed.metrics]


def test_a_kill_after_a_better_model_leaves_it_with_its_own_epoch(line, monkeypatch):
    """The judge of an older checkpoint named another epoch than the weights were of."""
    with monkeypatch.context() as patch:
        save, saved = loop.Trainer.save, []
        patch.setattr(loop.Trainer, "save", lambda trainer: None if saved else (save(trainer), saved.append(1)))
        run = nnkit.fit(line, ["training.epochs=3"], quiet=True)  # the last two epochs are not in last.npz
    patched = loop.Trainer.after_step
    monkeypatch.setattr(loop.Trainer, "after_step", lambda trainer, batches: (patched(trainer, batches), stop(trainer)))

    def stop(trainer):
        if trainer.position.step == 4:
            signal.raise_signal(signal.SIGINT)

    run.directory.update_run(status="running")
    resumed = nnkit.resume(run.path, quiet=True)
    best = resumed.directory.read_run()["best"]
    arrays, meta = load_checkpoint(resumed.directory.path("checkpoints/best.npz"))
    assert resumed.exit_code == 130 and (best["epoch"], best["value"]) == (meta["epoch"], meta["best"]) == (3, 1.0)
    np.testing.assert_array_equal(resumed.model.weight.value, arrays["model/weight"])


@pytest.mark.parametrize("workers", [1, 2])
def test_early_stopping_of_word_vectors_with_and_without_workers(tmp_path, monkeypatch, workers):
    if workers > 1 and sys.platform == "win32":
        pytest.skip("Windows has no workers")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("a b c d e f g h\n" * 200, encoding="utf-8")
    (tmp_path / "small.yaml").write_text("recipe: sgns\ndata: {train: corpus.txt}\nmodel: {dim: 4}\n"
                                         "eval: {monitor: +train_loss}\ntraining: {epochs: 30, patience: 2, blocks: 2}\n",
                                         encoding="utf-8")
    run = nnkit.fit("small.yaml", [f"training.workers={workers}"], quiet=True)  # the loss falls: the first epoch has the most
    assert run.exit_code == 0 and run.directory.read_run()["best"]["epoch"] == 1
    assert [row["epoch"] for row in run.metrics if row["event"] == "eval"] == [1, 2, 3]
