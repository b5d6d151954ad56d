"""nnkit check: what it says of a training, that it writes nothing, and that a wrong gradient does not pass."""

import numpy as np
import pytest

import nnkit
from nnkit import nn
from nnkit.commands.check import main
from nnkit.training.checking import check, duration
from nnkit.training.layer_shapes import traced

RECIPE = """\
import math
import numpy as np
from nnkit import Operation, losses, nn, ops, tensor_op
from nnkit.training import Recipe, RunConfig, TrainingConfig
from pydantic import Field


class Training(TrainingConfig):
    batch_size: int = Field(4, description="examples")


class Config(RunConfig):
    training: Training = Field(Training(), description="steps")


class Batch:
    def __init__(self, x, classes):
        self.x, self.classes, self.count, self.units = x, classes, len(x), len(x)


@tensor_op
class activation(Operation):
    @staticmethod
    def forward(ctx, x):
        y = np.tanh(x)
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        return [grad_output * (1 - y * y)]


class Hidden(nn.Module):
    def __init__(self, rng):
        self.linear = nn.Linear(3, 8, rng=rng)

    def forward(self, x):
        return activation(self.linear(x))


class Model(nn.Module):
    def __init__(self, rng):
        self.hidden = Hidden(rng)
        self.dropout = nn.Dropout(0.5, rng=rng)
        self.last = nn.Linear(8, 4, rng=rng)

    def forward(self, x):
        return self.last(self.dropout(self.hidden(x)))


class Small(Recipe):
    Config = Config
    measures = ("dev_loss",)

    def __init__(self, config):
        super().__init__(config)
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((24, 3)).astype(np.float32)
        self.classes = rng.integers(0, 4, 24)
        self.units_per_epoch = len(self.x)

    def build(self, rng):
        return Model(rng)

    def batches(self, epoch, rng, start=0):
        size, order = self.config.training.batch_size, rng.permutation(len(self.x))
        for first in range(size * start, len(order), size):
            chosen = order[first:first + size]
            yield Batch(self.x[chosen], self.classes[chosen])

    def loss(self, model, batch):
        return losses.cross_entropy(model(batch.x), batch.classes)

    def evaluate(self, model):
        return {"dev_loss": float(losses.cross_entropy(model(self.x), self.classes))}

    def facts(self):
        return {"classes": ["a", "b", "c", "d"], "notice": "the text is short"}

    def summary(self):
        return "24 examples"

    def check(self, model):
        return ["lengths 1 to 9", "note: 2 of 7 held-out examples stand in the training data, too"]

    def expected_loss(self):
        return math.log(4)
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """small(old, new, ...) is the config of the recipe with these texts replaced; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text("recipe: small.py\ntraining: {epochs: 2}\noptimizer: {lr: 0.1}\n"
                                         "log: {every: 1 epoch}\n", encoding="utf-8")

    def written(*replacements):
        text = RECIPE
        for old, new in zip(replacements[::2], replacements[1::2]):
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "small.py").write_text(text, encoding="utf-8")
        return tmp_path / "small.yaml"
    return written


def said(config, *overrides, seconds=0, **options):
    """The lines of a check by their heads, and its notes; a line without a head belongs to the one before."""
    lines: dict[str, list[str]] = {}
    seen = []

    def say(line):
        head = line[:11].strip() or seen[-1]
        seen.append(head)
        lines.setdefault(head, []).append(line[11:])
    notes = check(config, overrides, seconds=seconds, say=say, **options)
    return lines, notes


def test_every_line_says_what_is_there(small):
    lines, notes = said(small(), "training.epochs=3")
    assert list(lines) == ["config", "data", "shapes", "loss", "gradients", "eval", "time", "note"]
    assert "4 keys are set (1 on the command line)" in lines["config"][0]
    assert lines["data"] == ["24 examples", "lengths 1 to 9"]
    assert lines["gradients"] == ["4 of 4 parameters have one that is finite and not zero"]
    assert lines["eval"][0].startswith("dev_loss 1.") and "for 3 epochs" in lines["time"][0]
    assert lines["loss"][0].endswith("at start, expected about 1.3863")
    assert notes == lines["note"] == ["the text is short", "2 of 7 held-out examples stand in the training data, too"]


def test_shapes_go_in_and_out_of_every_module_in_the_order_of_the_calls(small):
    shapes = [" ".join(line.split()) for line in said(small())[0]["shapes"]]
    assert shapes == ["Model (4, 3) -> (4, 4)", "hidden Hidden (4, 3) -> (4, 8)", "hidden.linear Linear(3, 8) (4, 3) -> (4, 8)",
                      "dropout Dropout(p=0.5) (4, 8) -> (4, 8)", "last Linear(8, 4) (4, 8) -> (4, 4)", "68 parameters"]


def test_a_module_that_is_called_often_has_one_line_and_the_model_is_as_before():
    model = nn.Sequential(nn.Linear(3, 3, rng=0), nn.ReLU())
    calls = []
    with traced(model, calls):
        x = np.ones((2, 3), np.float32)
        for _ in range(5):
            x = model(x)
    labels = ["Sequential", "layers.0 Linear(3, 3)", "layers.1 ReLU()"]
    assert [(call.label, call.times) for call in calls] == [(label, 5) for label in labels]
    assert not [module for module in model.modules() if "forward" in vars(module)]


def test_the_shapes_up_to_a_layer_that_fails_are_said(small):
    heads = []
    with pytest.raises(nnkit.UserError, match=r"^last Linear\(9, 4\): expected .*9\), got \(4, 8\) \(.*small.py:\d+\)$"):
        check(small("nn.Linear(8, 4", "nn.Linear(9, 4"), say=heads.append)
    assert any(line.split()[-6:] == ["Linear(9,", "4)", "(4,", "8)", "->", "?"] for line in heads)


def test_nothing_is_written(small, tmp_path):
    config = small()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    said(config, "eval.monitor=-dev_loss", "save.every=1 steps", "eval.every=1 steps", gradcheck=True)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert after == before and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("change, why", [
    (("self.last =", "self.spare = nn.Linear(2, 2, rng=rng)\n        self.last ="),
     ["spare.weight is not trained: the loss does not depend on it",
      "spare.bias is not trained: the loss does not depend on it"]),
    (("return activation(self.linear(x))", "return activation(self.linear(x) * 0)"),
     ["hidden.linear.weight is not trained: it was zero in each of the first 2 steps",
      "hidden.linear.bias is not trained: it was zero in each of the first 2 steps",
      "last.weight is not trained: it was zero in each of the first 2 steps"])])
def test_a_parameter_without_a_gradient_is_named(small, change, why):
    lines, notes = said(small(*change, "self.dropout(self.hidden(x))", "self.hidden(x)"))
    assert [note for note in notes if "not trained" in note] == why
    assert not lines["gradients"][0].startswith("4 of 4") or "spare" in lines["gradients"][0]


def test_a_loss_that_is_not_finite_ends_with_3_and_the_gradients_are_said_before(small, capsys):
    config = small("return [grad_output * (1 - y * y)]", "return [grad_output / 0]")
    assert main([str(config)]) == 3
    out, err = capsys.readouterr()
    assert "not finite: hidden.linear.weight, hidden.linear.bias" in out
    assert err.startswith("error: step ") and err.count("\n") == 1
    assert main([str(small("model(batch.x), batch", "model(batch.x) * float('inf'), batch"))]) == 3


def test_a_first_loss_far_from_that_of_chance_is_a_note(small):
    _, notes = said(small("model(batch.x), batch", "model(batch.x) * 50, batch"))
    assert [note for note in notes if "the first parameters or the inputs too large?" in note]
    _, notes = said(small("math.log(4)", "math.log(400)"))
    assert [note for note in notes if "does the input hold the answer" in note]


def test_a_recipe_need_not_have_the_two_methods(small):
    lines, notes = said(small("def check", "def other", "def expected_loss", "def another"))
    assert notes == ["the text is short"] and lines["loss"][0].endswith("at start")
    assert lines["data"] == ["24 examples", "classes 4: a, b, c, d"]


@pytest.mark.parametrize("override, said_of_it", [
    ("log.every=100 steps", "log.every is 100 steps, and there are about 12 steps in 2 epochs: it is not due before the end"),
    ("save.every=3 epochs", "save.every is 3 epochs, "), ("eval.every=13 steps", "eval.every is 13 steps, ")])
def test_an_interval_longer_than_the_training_is_a_note(small, override, said_of_it):
    assert [note for note in said(small(), override)[1] if note.startswith(said_of_it)]
    assert not [note for note in said(small(), "eval.every=6 steps")[1] if "every" in note]


def test_measures_that_are_not_taken_are_a_note(small):
    _, notes = said(small('("dev_loss",)', '("dev_acc",)'))
    assert [note for note in notes if note.startswith("Small.evaluate gives dev_loss, its `measures` are dev_acc")]


@pytest.mark.parametrize("overrides", [
    ["training.accumulate=2", "training.clip_norm=0.1"], ["schedule={type: linear, end: 0.01}", "eval.monitor=-dev_loss"]])
def test_a_rehearsal_to_the_end_is_the_training_and_writes_nothing(small, tmp_path, overrides):
    config = small("self.last(self.dropout(self.hidden(x)))", "self.last(self.hidden(x))")
    lines, _ = said(config, *overrides, seconds=1000)
    assert not (tmp_path / "runs").exists()
    trained = nnkit.fit(config, overrides, quiet=True)
    assert lines["eval"] == [f"dev_loss {trained.metrics[-1]['dev_loss']:.4f}"]


def test_what_a_training_refuses_is_refused(small):
    with pytest.raises(nnkit.ConfigError, match="measures no dev_f1"):
        check(small(), ["eval.monitor=+dev_f1"])
    with pytest.raises(nnkit.UserError, match="at least one batch in epoch 1"):
        check(small("for first in range(size * start, len(order), size)", "for first in ()"), say=str)


def test_a_word_vector_recipe_is_checked_whole(tiny):
    lines, notes = said(tiny, gradcheck=True)
    assert [" ".join(line.split()) for line in lines["shapes"]] == [
        "words Embedding(40, 8) (2, 8) -> (2, 8, 8)", "contexts Embedding(40, 8) (2, 16) -> (2, 16, 8)", "640 parameters"]
    assert "agree" in lines["gradcheck"][0] and not [note for note in notes if "not trained" in note]


# --gradcheck

def test_right_gradients_pass_with_dropout_and_all_of_them_are_compared(small):
    lines, _ = said(small(), gradcheck=True)
    assert lines["gradcheck"][0] == ("72 derivatives of 4 parameters compared in float64: backward and the difference quotient "
                                     "agree")
    assert lines["gradcheck"][1].startswith("5 operations and 5 layers by themselves: ")


@pytest.mark.parametrize("wrong, cause", [
    ("return [grad_output * (1 - y)]", "differ"), ("return [grad_output * (y * y - 1)]", "the sign is wrong"),
    ("return [2 * grad_output * (1 - y * y)]", "every element is 2 times"), ("return [0 * y]", "backward gives nothing"),
    ("return [None]", "backward gives nothing")])
def test_a_wrong_backward_is_found_and_the_operation_named_with_its_layer_and_its_line(small, capsys, wrong, cause):
    config = small("return [grad_output * (1 - y * y)]", wrong)
    assert main([str(config), "--gradcheck", "training.epochs=1"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: gradcheck: hidden Hidden: operation activation (") and cause in err and err.count("\n") == 1
    line = int(err.split("small.py:")[1].split("): input 0 at [")[0])
    assert "def backward" in config.with_name("small.py").read_text(encoding="utf-8").splitlines()[line]


def test_a_parameter_whose_gradient_is_a_rule_of_its_own_is_left_out_by_name(small):
    changes = ["return [grad_output * (1 - y * y)]", "return [grad_output]", "measures =",
               "not_derivatives = ('hidden.linear.weight', 'hidden.linear.bias')\n    measures ="]
    lines, _ = said(small(*changes), gradcheck=True)
    assert lines["gradcheck"][0] == (
        "38 derivatives of 2 parameters compared in float64: backward and the difference quotient agree; hidden.linear.weight, "
        "hidden.linear.bias: a rule of the recipe, not compared")
    changes[-1] = changes[-1].replace(", 'hidden.linear.bias'", ",")
    with pytest.raises(nnkit.UserError, match=r"gradcheck: hidden Hidden: operation activation"):
        said(small(*changes), gradcheck=True)


def test_a_gradient_missing_in_few_rows_of_a_large_table_is_found(small):
    """Of a large parameter some numbers are compared; a row that no one looks at is found by the direction."""
    table = "self.hidden = nn.Embedding(1000, 8, rng=rng)"
    op = """\
@tensor_op
class lookup(Operation):
    @staticmethod
    def forward(ctx, table, ids):
        ctx.extend([table.shape, ids])
        return table[ids]

    @staticmethod
    def backward(ctx, grad_output):
        shape, ids = ctx
        grad = np.zeros(shape, grad_output.dtype)
        np.add.at(grad, ids, grad_output)
        return [grad, None]


class Hidden("""
    changes = ["class Hidden(", op, "self.hidden = Hidden(rng)", table,
               "self.last(self.dropout(self.hidden(x)))", "self.last(self.dropout(lookup(self.hidden.weight, x)))",
               "model(batch.x), batch.classes)", "model(7 * np.arange(len(batch.x))), batch.classes)",
               "losses.cross_entropy(model(self.x), self.classes)", "0"]
    said(small(*changes), gradcheck=True)
    changes[1] = op.replace("np.add.at(grad, ids, grad_output)", "np.add.at(grad, ids[1:], grad_output[1:])")
    with pytest.raises(nnkit.UserError, match=r"gradcheck: Model: operation lookup .*rows left out"):
        said(small(*changes), gradcheck=True)


def test_what_casts_to_float32_on_the_way_cannot_be_compared(small):
    with pytest.raises(nnkit.UserError, match="gradcheck: activation gives float32"):
        said(small("y = np.tanh(x)\n", "y = np.tanh(x).astype(np.float32)\n"), gradcheck=True)


def test_a_loss_that_draws_anew_each_time_cannot_be_compared(small):
    with pytest.raises(nnkit.UserError, match="the loss differs between two calls"):
        said(small("return losses.cross_entropy(model(batch.x)", "return losses.cross_entropy(model(batch.x + noise())",
                   "class Batch:", "noise = np.random.default_rng(0).standard_normal\n\n\nclass Batch:"), gradcheck=True)


def test_the_row_for_padding_and_hooks_are_left_out_and_the_model_is_as_before():
    from nnkit.training.derivatives import check_derivatives

    class Bag(nn.Module):
        def __init__(self):
            self.table = nn.Embedding(5, 3, padding_idx=0, rng=0)
            self.table.weight.register_hook(lambda gradient: 0 * gradient)

    class Sum:
        not_derivatives = ()

        @staticmethod
        def loss(model, batch):
            rows = model.table(batch)
            rows.register_hook(lambda gradient: 3 * gradient)
            return (rows * rows).sum()

    model = Bag()
    before, hooks = model.table.weight.value.copy(), model.table.weight.hooks
    assert "13 derivatives of 1 parameters" in check_derivatives(Sum(), model, np.array([0, 1, 1, 4]))[0]
    weight = model.table.weight
    assert weight.value.dtype == np.float32 and weight.value.tobytes() == before.tobytes()
    assert weight.hooks is hooks and weight.grad is None


# The command

def test_mistakes_end_in_a_line_and_a_code(small, capsys):
    assert main(["nowhere.yaml"]) == 2
    assert main([str(small()), "optimizer.lr=fast"]) == 2
    assert "optimizer.lr: expected a number" in capsys.readouterr().err
    with pytest.raises(SystemExit) as usage:
        main([str(small()), "--verbose"])
    assert usage.value.code == 2
    assert main([str(small()), "--optimizer.lr=0.5", "training.epochs=1"]) == 0
    assert "2 on the command line" in capsys.readouterr().out


@pytest.mark.parametrize("seconds, text", [(0.0512, "0.051 s"), (4.13, "4.1 s"), (41, "0:41"), (7205, "2:00:05")])
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text
