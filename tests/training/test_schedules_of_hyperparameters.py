"""`schedules` of a config, of any hyper-parameter; and a warm-up that is counted in steps or epochs."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import nnkit
from nnkit.training import config as configs
from nnkit.training.checking import check
from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.interval import Interval
from nnkit.training.making import make_schedules
from nnkit.training.schema import RunConfig
from nnkit.training.updates import Warmup

RECIPE = Path(__file__).parent / "recipes/net.py"
EVERY_ONE = {"SGD": "momentum weight_decay", "Adagrad": "lr_decay weight_decay eps", "Adam": "beta1 beta2 eps weight_decay",
             "AdamW": "beta1 beta2 eps weight_decay", "RMSProp": "alpha eps weight_decay momentum"}


@pytest.fixture
def net(tmp_path, monkeypatch):
    """net(text) writes a config with this text, a line of the log for every step, and returns its path."""
    monkeypatch.chdir(tmp_path)

    def writing(text):
        (tmp_path / "net.yaml").write_text(f"recipe: {RECIPE}\nlog: {{every: 1 step}}\n{text}\n", encoding="utf-8")
        return tmp_path / "net.yaml"
    return writing


@pytest.fixture
def refused(net, tmp_path):
    """refused(text) is the error of a training with this text in its third line; it leaves no folder behind."""
    def failing(text, *overrides):
        with pytest.raises(nnkit.ConfigError) as caught:
            nnkit.fit(net(text), overrides, quiet=True)
        assert caught.value.exit_code == 2 and not list(tmp_path.glob("runs/*"))
        return str(caught.value).replace(f"{tmp_path}/", "")
    return failing


def settings(path):
    return configs.validate(configs.read_tree(path, []), RunConfig)


def column(run, name, event="train"):
    return [row[name] for row in run.metrics if row["event"] == event]


def same(one, other):
    """Whether two runs ended with the same bits, and logged the same."""
    (arrays, meta), (others, its) = (load_checkpoint(run.directory.path("checkpoints/last.npz")) for run in (one, other))
    logged = [[{key: value for key, value in row.items() if key != "seconds" and not key.endswith("_per_second")}
               for row in run.metrics] for run in (one, other)]
    return (arrays.keys() == others.keys() and all(arrays[name].tobytes() == others[name].tobytes() for name in arrays)
            and logged[0] == logged[1] and all(meta[key] == its[key] for key in ("values", "schedules")))


def stopping_at(step):
    return lambda row: row["step"] == step and row["event"] == "train" and signal.raise_signal(signal.SIGINT)


# Any hyper-parameter

def test_a_hyper_parameter_follows_its_schedule_from_its_own_value_and_stands_beside_lr(net):
    run = nnkit.fit(net("optimizer: {lr: 0.05, momentum: 0.9}\ntraining: {epochs: 2}\nschedule: {type: linear, end: 0}\n"
                        "schedules: {momentum: {type: linear, end: 0.5}, weight_decay: {type: constant}}"), quiet=True)
    assert column(run, "momentum") == pytest.approx([0.9 - 0.4 * i / 14 for i in range(14)])
    assert column(run, "lr") == pytest.approx([0.05 * (1 - i / 14) for i in range(14)])
    assert column(run, "weight_decay") == [0.0] * 14
    keys = list(run.metrics[0])
    assert keys[keys.index("lr") + 1:][:2] == ["momentum", "weight_decay"]
    header, first = run.directory.path("history.csv").read_text(encoding="utf-8").split("\n")[:2]
    assert float(dict(zip(header.split(","), first.split(",")))["momentum"]) == column(run, "momentum", "eval")[0]


def test_what_is_logged_is_what_the_step_took(net):
    """The oracle is the loop by hand."""
    run = nnkit.fit(net("optimizer: {lr: 0.05, momentum: 0.9}\ntraining: {epochs: 2}\n"
                        "schedules: {momentum: {type: cosine, end: 0.5}}"), quiet=True)
    recipe = type(run.recipe)(run.recipe.config)
    model = recipe.build(np.random.default_rng([1, 0]))
    optimizer = nnkit.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    taken = iter(column(run, "momentum"))
    for epoch in range(2):
        for batch in recipe.batches(epoch, np.random.default_rng([1, 1, epoch])):
            optimizer.set(momentum=next(taken))
            optimizer.zero_grad()
            recipe.loss(model, batch).backward()
            optimizer.step()
    for ours, its in zip(model.parameters(), run.model.parameters()):
        np.testing.assert_array_equal(ours.value, its.value)


@pytest.mark.parametrize("kind", EVERY_ONE)
def test_every_number_of_every_optimizer_can_have_one(net, kind):
    names = EVERY_ONE[kind].split()
    start = {"Adam": "betas: [0.8, 0.9], ", "AdamW": "betas: [0.8, 0.9], ", "RMSProp": "momentum: 0.1, "}.get(kind, "")
    sections = ", ".join(f"{name}: {{type: linear, end: 0.5}}" for name in names)
    run = nnkit.fit(net(f"optimizer: {{type: {kind}, {start}lr: 0.01}}\ntraining: {{epochs: 1}}\n"
                        f"schedules: {{{sections}}}"), quiet=True)
    for name in names:
        values = column(run, name)
        assert abs(values[-1] - 0.5) == pytest.approx(abs(values[0] - 0.5) / 7)


def test_a_group_that_has_its_own_value_keeps_it(net):
    run = nnkit.fit(net("optimizer: {lr: 0.05, groups: [{match: '*.bias', weight_decay: 0},\n"
                        "  {match: first.*, weight_decay: 0.5}]}\n"
                        "training: {epochs: 1}\nschedules: {weight_decay: {type: linear, end: 0.1}}"), quiet=True)
    assert column(run, "weight_decay") == pytest.approx([0.1 * i / 7 for i in range(7)])
    every = nnkit.fit(net("optimizer: {lr: 0.05, groups: [{match: '*', weight_decay: 0}]}\ntraining: {epochs: 1}\n"
                          "schedules: {weight_decay: {type: linear, end: 0.1}}"), quiet=True)
    plain = nnkit.fit(net("optimizer: {lr: 0.05}\ntraining: {epochs: 1}"), quiet=True)
    assert column(every, "weight_decay") == pytest.approx([0.1 * i / 7 for i in range(7)])
    for one, other in zip(every.model.parameters(), plain.model.parameters()):
        np.testing.assert_array_equal(one.value, other.value)


def test_a_plateau_of_momentum_falls_where_the_monitor_gets_no_better(net):
    run = nnkit.fit(net("optimizer: {lr: 0.05, momentum: 0.8}\ntraining: {epochs: 5}\neval: {monitor: +dev_loss}\n"
                        "schedules: {momentum: {type: plateau, factor: 0.5, patience: 0}}"), quiet=True)
    assert column(run, "momentum", "eval") == [0.8, 0.8, 0.4, 0.2, 0.1]
    assert column(run, "lr", "eval") == [0.05] * 5


# Resuming

SCHEDULES = ["momentum: {type: linear, end: 0.5}", "momentum: {type: cosine, end: 0.1, warmup: 5 steps}",
             "momentum: {type: plateau, factor: 0.7, patience: 0, warmup: 9 steps}, weight_decay: {type: step, gamma: 2}",
             "momentum: {type: step, share: 0.2, warmup: 1 epoch}, weight_decay: {type: linear, end: 0.1, warmup: 12 steps}"]


@pytest.mark.parametrize("schedules, at", list(zip(SCHEDULES, [14, 3, 11, 12])))
def test_a_run_goes_on_with_the_values_it_would_have_had_to_the_bit(net, schedules, at):
    path = net("optimizer: {lr: 0.05, momentum: 0.9, weight_decay: 0.01}\ntraining: {epochs: 3}\neval: {monitor: +train_loss}\n"
               f"schedule: {{type: plateau, patience: 0, factor: 0.9, warmup: 12 steps}}\nschedules: {{{schedules}}}")
    unbroken = nnkit.fit(path, quiet=True)
    broken = nnkit.fit(path, quiet=True, on_log=stopping_at(at))
    assert broken.exit_code == 130 and not same(unbroken, broken)
    assert same(unbroken, nnkit.resume(broken.path, quiet=True))


def test_a_longer_training_goes_on_with_the_schedule_of_its_length(net):
    """What was warmed up in steps keeps its place in the data."""
    path = net("optimizer: {lr: 0.05}\ntraining: {epochs: 2}\nschedule: {type: linear, end: 0, warmup: 7 steps}")
    longer = nnkit.resume(nnkit.fit(path, quiet=True).path, ["training.epochs=4"], quiet=True)
    rates = column(longer, "lr")
    assert rates[:7] == pytest.approx([0.05 * i / 7 for i in range(7)])
    assert rates[7:14] == pytest.approx([0.05 * (1 - i / 7) for i in range(7)])        # of the two epochs it was to have
    assert rates[14:] == pytest.approx([0.05 * (1 - i / 21) for i in range(7, 21)])    # of the four


# Warm-up

@pytest.mark.parametrize("kind", ["constant", "linear, end: 0.01", "cosine, end: 0.01", "step, share: 0.25"])
@pytest.mark.parametrize("steps, share", [("1 step", 1 / 28), ("9 steps", 9 / 28), ("27 steps", 27 / 28), ("1 epoch", 0.25),
                                          ("3 epochs", 0.75)])
def test_a_warm_up_in_steps_or_epochs_is_that_of_the_same_share(net, kind, steps, share):
    schedules = [make_schedules(settings(net(f"training: {{epochs: 4}}\nschedule: {{type: {kind}, warmup: {warmup}}}")))
                 for warmup in (steps, share)]
    one, other = ([s.at(step / 28, step)["lr"] for step in range(28)] for s in schedules)
    assert one == pytest.approx(other, abs=1e-12) and one[0] == 0 and max(one) == pytest.approx(0.025)


def test_a_training_logs_the_rates_of_its_warm_up(net):
    run = nnkit.fit(net("optimizer: {lr: 0.1}\ntraining: {epochs: 2}\nschedule: {type: constant, warmup: 5 steps}"), quiet=True)
    assert column(run, "lr") == pytest.approx([min(1, i / 5) * 0.1 for i in range(14)])
    assert "warmup: 5 steps\n" in run.directory.path("config.yaml").read_text(encoding="utf-8")


def test_a_warm_up_of_more_steps_than_there_are_rises_to_the_end_and_check_says_so(net):
    path = net("optimizer: {lr: 0.1}\ntraining: {epochs: 1}\nschedule: {type: constant, warmup: 70 steps}")
    assert column(nnkit.fit(path, quiet=True), "lr") == pytest.approx([0.1 * i / 70 for i in range(7)])
    notes = check(path, seconds=0.01, say=lambda line: None)
    assert [note for note in notes if "warmup" in note] == [
        "schedule.warmup is 70 steps, and there are about 7 steps: the value rises to the end"]


INTERVALS = st.builds(Interval, st.integers(1, 10**9), st.sampled_from(["step", "epoch"]))


@given(st.one_of(st.floats(0, 1, exclude_max=True), INTERVALS))
def test_a_warm_up_survives_json(warmup):
    adapter = TypeAdapter(Warmup)
    assert adapter.validate_json(adapter.dump_json(warmup)) == warmup


@pytest.mark.parametrize("wrong", [1, -0.1, True, None, "0.1", "5", "0 steps", "1 day", [1], float("nan")])
def test_what_is_no_warm_up_is_refused_in_one_line_that_says_how_one_looks(wrong):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Warmup).validate_python(wrong)
    [error] = caught.value.errors()
    assert error["msg"].startswith("Value error, expected a share of the training from 0 to below 1, or an interval such as "
                                   "'500 steps' or '1 epoch', got ")


# Mistakes

@pytest.mark.parametrize("text, said", [
    ("schedules: {lr: {type: linear, end: 0}}",
     "net.yaml:3:13: schedules.lr: the learning rate's own is called schedule; write it there"),
    ("schedules: {momentun: {type: linear, end: 0}}",
     "net.yaml:3:13: unknown key 'momentun' in schedules; SGD has no number of that name that can change; did you mean "
     "'momentum'?"),
    ("schedules: {nesterov: {type: linear, end: 0}}",
     "net.yaml:3:13: unknown key 'nesterov' in schedules; SGD has no number of that name that can change; known: momentum, "
     "weight_decay"),
    ("schedules: {momentum: {type: linear, end: 0}}\noptimizer: {type: Adam}",
     "net.yaml:3:13: unknown key 'momentum' in schedules; Adam has no number of that name that can change; known: beta1, beta2, "
     "eps, weight_decay"),
    ("schedules: {initial_accumulator_value: {type: constant}}\noptimizer: {type: Adagrad}",
     "net.yaml:3:13: unknown key 'initial_accumulator_value' in schedules; Adagrad has no number of that name that can change; "
     "known: lr_decay, weight_decay, eps"),
    ("schedules: {momentum: {type: linear}}",
     "net.yaml:3:23: missing key 'end' in schedules.momentum; it is the value at the end of the training"),
    ("schedules: {momentum: {type: linear, end: 1}}",
     "net.yaml:3:43: schedules.momentum: ends at 1; expected a number less than 1"),
    ("schedules: {beta1: {type: cosine, end: 1.5}}\noptimizer: {type: Adam}",
     "net.yaml:3:40: schedules.beta1: ends at 1.5; Adam: expected 0 <= beta1 < 1, got 1.5"),
    ("schedules: {momentum: {type: step, gamma: 2}}\noptimizer: {momentum: 0.5}",
     "net.yaml:3:23: schedules.momentum: ends at 4; expected a number less than 1"),
    ("schedules: {momentum: {type: linear, end: -1}}",
     "net.yaml:3:43: schedules.momentum.end: expected a number of at least 0, got -1"),
    ("schedules: {momentum: {type: linaer}}",
     "net.yaml:3:30: schedules.momentum: unknown type 'linaer'; did you mean 'linear'? known types: constant, cosine, linear, "
     "plateau, step"),
    ("schedules: {momentum: {end: 0.5}}",
     "net.yaml:3:23: missing key 'type' in schedules.momentum; known types: constant, linear, cosine, step, plateau"),
    ("schedules: {momentum: {type: linear, edn: 0.5}}",
     "net.yaml:3:38: unknown key 'edn' in schedules.momentum; did you mean 'end'?"),
    ("schedules: {momentum: 0.5}", "net.yaml:3:23: schedules.momentum: expected a section, got 0.5"),
    ("schedules: {type: linear, end: 0}",
     "net.yaml:3:12: schedules: expected hyper-parameters and their schedules, such as {momentum: {type: linear, end: 0.5}}; the "
     "learning rate's own is called schedule"),
    ("schedules: {momentum: {type: plateau}}",
     "net.yaml:3:30: schedules.momentum.type: waits for a measure that gets no better; set eval.monitor, +dev_loss or -dev_loss "
     "for instance"),
    ("schedule: {type: constant, warmup: 5 days}",
     "net.yaml:3:36: schedule.warmup: expected a share of the training from 0 to below 1, or an interval such as '500 steps' or "
     "'1 epoch', got '5 days'"),
    ("schedule: {type: constant, warmup: 1.5}",
     "net.yaml:3:36: schedule.warmup: expected a share of the training from 0 to below 1, or an interval such as '500 steps' or "
     "'1 epoch', got 1.5"),
    ("schedule: {type: constant, warmup: 2 epochs}\ntraining: {epochs: 2}",
     "net.yaml:3:36: schedule.warmup: 2 epochs: the training has training.epochs: 2, and nothing would be left of it; write "
     "fewer epochs, or steps"),
    ("schedules: {momentum: {type: constant, warmup: 5 epochs}}\ntraining: {epochs: 2}",
     "net.yaml:3:48: schedules.momentum.warmup: 5 epochs: the training has training.epochs: 2, and nothing would be left of it; "
     "write fewer epochs, or steps"),
    ("schedules: {eps: {type: constant, warmup: 5 steps}}\noptimizer: {type: Adam}",
     "net.yaml:3:43: schedules.eps.warmup: the value would rise from 0, and eps is there so that nothing is divided by 0; leave "
     "it out"),
    ("schedule: {type: plateau, end: 0.5}\neval: {monitor: -dev_loss}\noptimizer: {lr: 0.1}",
     "net.yaml:3:32: schedule.end: 0.5 is above 0.1, where the value starts, so that it would never fall; write a smaller one, "
     "or leave it out"),
])
def test_a_mistake_has_its_place_and_the_way_out(refused, text, said):
    assert refused(text) == said


def test_all_mistakes_are_told_at_once(refused):
    said = refused("schedules: {lr: {type: constant}, wait: {type: constant}, momentum: {type: linear, end: 2}}")
    assert [line.split(": ")[0] for line in said.split("\n")] == ["net.yaml:3:13", "net.yaml:3:35", "net.yaml:3:89"]


def test_check_does_not_take_a_hyper_parameter_for_a_measure(net):
    path = net("schedules: {momentum: {type: linear, end: 0.5}}\ntraining: {epochs: 1}")
    assert not [note for note in check(path, seconds=0.01, say=lambda line: None) if "momentum" in note]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no workers")
def test_workers_follow_what_needs_no_state_and_refuse_the_rest(tiny):
    overrides = ["training.workers=2", "optimizer={lr: 0.01, weight_decay: 0.5}", "schedule={type: constant, warmup: 1 epoch}",
                 "log.every=1 epoch"]
    still = nnkit.fit(tiny, [*overrides, "training.epochs=2", "schedules={weight_decay: {type: constant}}"], quiet=True)
    falling = nnkit.fit(tiny, [*overrides, "training.epochs=2", "schedules={weight_decay: {type: linear, end: 0}}"], quiet=True)
    assert column(falling, "weight_decay")[-1] == 0 and column(still, "weight_decay")[-1] == 0.5
    sizes = [np.square(run.model.words.weight.value).sum() for run in (still, falling)]
    assert sizes[0] < sizes[1]
    for text, said in [("schedules={momentum: {type: linear, end: 0.5}}", "leave schedules.momentum out"),
                       ("schedule={type: constant, warmup: 5 steps}", "schedule.warmup in steps is for one process"),
                       ("schedule={type: plateau}", "schedule of type plateau is for one process")]:
        with pytest.raises(nnkit.ConfigError, match=f"training\\.workers: 2: .*{said}.*, or set training.workers: 1$"):
            nnkit.fit(tiny, ["training.workers=2", "eval.monitor=-train_loss", text], quiet=True)
