"""What is wrong with a layer of one's own ends in one line, before or in the first step: in nnkit train, check and predict."""

import numpy as np
import pytest
from test_checking import said, small  # noqa: F401 (a fixture)

import nnkit
from nnkit.commands.check import main as check_main
from nnkit.train import main as train_main

FORWARD = "return self.last(self.dropout(self.hidden(x)))"


def line_of(capsys, command, config, *words):
    """The last line on stderr, where there is no traceback; and the exit code."""
    code = command([str(config), "training.epochs=1", *words])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return ["", *err.rstrip().splitlines()][-1], code


def hidden_of(text):
    """The recipe's changes that give Hidden another forward."""
    return "return activation(self.linear(x))", text


both = pytest.mark.parametrize("command", [train_main, check_main], ids=["train", "check"])


@both
@pytest.mark.parametrize("change, text", [
    (("nn.Linear(8, 4", "nn.Linear(9, 4"), "last Linear(9, 4): expected an input of shape (..., 9), got (4, 8) ("),
    (hidden_of("activation(self.linear(x))"), "dropout Dropout(p=0.5): "),
    (hidden_of("return self.linear(x), x"), "its input is a tuple of 2: what stands before it returns more than one result"),
    (hidden_of("return self.line(x)"), "hidden Hidden: 'Hidden' object has no attribute 'line' ("),
    (hidden_of("return np.tanh(self.linear(x).value)"),
     "hidden Hidden: forward returned an array of shape (4, 8), not a Tensor: the gradient ends there"),
    (hidden_of("self.extra = nnkit.Tensor(np.ones(8, np.float32)); return activation(self.linear(x)) * self.extra"),
     "hidden.extra: a Tensor that requires a gradient was set on the model in forward"),
    (hidden_of("self.linear.bias = nnkit.Tensor(np.ones(8, np.float32)); return activation(self.linear(x))"),
     "hidden.linear.bias: a Tensor that requires a gradient was replaced in forward"),
    (("return [grad_output * (1 - y * y)]", "return [grad_output[:1]]"),
     "activation.backward: input 0 has shape (4, 8), its gradient (1, 8)"),
    (("return [grad_output * (1 - y * y)]", "grad_output"),
     "activation.backward returned 0 gradients for 1 inputs; expected a list, one entry an input; is a `return` missing?"),
    (("return [grad_output * (1 - y * y)]", "return grad_output"),
     "activation.backward returned an array of shape (4, 8) for 1 inputs; expected a list, one entry an input"),
    (("(y,) = ctx", "(y, x) = ctx"), "activation.backward: not enough values to unpack (expected 2, got 1) ("),
    (("return y\n", "y\n"), "hidden Hidden: activation.forward returned None: is a `return` missing? ("),
    (("return y\n", "return y, x\n"), "hidden Hidden: activation.forward returned a tuple; expected one array ("),
    (hidden_of("return activation(self.linear(y))"), "hidden Hidden: name 'y' is not defined ("),
    (hidden_of("return {'a': x}['b']"), "hidden Hidden: KeyError: 'b' ("),
    (hidden_of("assert x is None"), "hidden Hidden: AssertionError ("),
    (hidden_of("return {'y': activation(self.linear(x))}"), "its input is a dict: what stands before it is to return a Tensor ("),
    (hidden_of("return x @ self.linear.weight.T"),
     "hidden Hidden: matmul: shapes (4, 3) and (8, 3) do not fit: the last axis of the first is 3 long, so"),
    (("model(batch.x), batch.classes", "nnkit.Tensor(model(batch.x).value, requires_grad=False), batch.classes"),
     "does not depend on anything that requires a gradient"),
    (("cross_entropy(model(batch.x), ", "cross_entropy(None, "), "expected logits, a Tensor of shape")],
    ids=["size", "None", "tuple", "attribute", "array", "new parameter", "replaced", "gradient's shape", "no gradient returned",
         "no list", "ctx", "no result", "two results", "name", "key", "assertion", "dict", "matmul", "no graph", "loss of None"])
def test_a_mistake_is_one_line_that_names_the_layer(small, capsys, command, change, text):  # noqa: F811
    line, code = line_of(capsys, command, small("import math", "import math\nimport nnkit", *change))
    assert code == 1 and line.startswith("error: ") and text in line
    if "expected an input" in text:
        assert line.endswith(")") and "small.py:" in line


def test_a_run_that_is_asked_with_a_layer_that_no_longer_fits_says_so_in_a_line(small):  # noqa: F811
    code = nnkit.fit(small(), quiet=True).path / "code" / "small.py"
    text = code.read_text(encoding="utf-8").replace("model(self.x), self", "model(self.x[:, :2]), self")
    code.write_text(text, encoding="utf-8")
    with pytest.raises(nnkit.UserError, match=r"^hidden\.linear Linear\(3, 8\): expected .* got \(24, 2\) \(.*small\.py:\d+\)$"):
        nnkit.load(code.parent.parent).evaluate()


def test_an_unused_parameter_is_said_once_at_the_start_of_a_training(small, capsys):  # noqa: F811
    config = small("self.last =", "self.spare = nn.Linear(2, 2, rng=rng)\n        self.last =")
    assert train_main([str(config)]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "notice" in line and "spare" in line]
    assert lines == ["notice  spare.weight, spare.bias: not trained, the loss of the first step does not depend on them"]
    assert train_main([str(small())]) == 0
    assert "not trained" not in capsys.readouterr().err


def test_the_closer_look_changes_no_bit(small):  # noqa: F811
    """The first step is watched; a training whose every step is watched, and one that is never, end with the same weights."""
    plain = nnkit.fit(small(), quiet=True)
    with nnkit.detect_anomaly():
        watched = nnkit.fit(small(), quiet=True)
    for name, value in plain.model.state_dict().items():
        np.testing.assert_array_equal(value, watched.model.state_dict()[name])


@pytest.mark.parametrize("change, text", [
    (hidden_of("y = activation(self.linear(x)); y.value += 1; return y"),
     "activation in hidden Hidden: its result, Tensor("),
    (hidden_of("y = self.linear(x); z = activation(y); self.linear.weight.value[0] *= 1.5; return z"),
     "linear in hidden.linear Linear(3, 8): the value of input 1, hidden.linear.weight, was changed in place")])
@both
def test_what_is_written_into_between_forward_and_backward_is_found(small, capsys, command, change, text):  # noqa: F811
    line, code = line_of(capsys, command, small(*change))
    assert code == 1 and text in line and "was changed in place between forward and backward" in line


@pytest.mark.parametrize("kind, written, is_kept", [
    ("np.zeros(3, np.float32)", "self.mean", False), ("0.0", "self.mean", False),
    ("nnkit.Tensor(np.zeros(3, np.float32), requires_grad=False)", "self.mean.value[...]", True)],
    ids=["array", "number", "buffer"])
def test_what_a_layer_remembers_outside_of_a_buffer_is_said_to_be_lost(small, capsys, kind, written, is_kept):  # noqa: F811
    config = small("import math", "import math\nimport nnkit",
                   "self.linear = nn", f"self.mean = {kind}\n        self.linear = nn",
                   *hidden_of(f"{written} += x.mean()\n        return activation(self.linear(x - self.mean))"))
    line = "hidden.mean: changed in forward, and not saved with the model"
    assert train_main([str(config), "training.epochs=1"]) == 0
    assert (line not in capsys.readouterr().err) == is_kept
    _, notes = said(config)
    assert not any(note.startswith(line) for note in notes) == is_kept and not any("is an array" in note for note in notes)
    text, code = line_of(capsys, check_main, config, "--gradcheck")
    assert code == 0 if is_kept else code == 1 and "what a layer remembers must stand in a buffer" in text


def test_an_array_where_a_parameter_is_meant_is_a_note(small):  # noqa: F811
    _, notes = said(small(*hidden_of("return activation(self.linear(x)) * self.scale"),
                          "self.linear = nn", "self.scale = np.ones(8, np.float32)\n        self.linear = nn"))
    assert [note for note in notes if note.startswith("hidden.scale is an array, not a Tensor: it is neither trained nor saved")]
    _, notes = said(small("self.last =", "self.positions = nn.PositionalEncoding(8)\n        self.last ="))  # holds its sines
    assert not [note for note in notes if "is an array" in note]


def test_a_forgotten_rng_is_a_note(small):  # noqa: F811
    _, notes = said(small("nn.Linear(3, 8, rng=rng)", "nn.Linear(3, 8)"))
    assert [note.split(" begins")[0] for note in notes if "with other numbers in each run" in note] == [
        "hidden.linear.weight", "hidden.linear.bias"]
    assert not [note for note in said(small())[1] if "other numbers" in note]


def test_a_result_kept_on_a_module_is_a_note_and_neither_saved_nor_in_the_way(small):  # noqa: F811
    kept = hidden_of("self.seen = activation(self.linear(x))\n        return self.seen")
    _, notes = said(small(*kept))
    assert [note for note in notes if note.startswith("hidden.seen: the result of activation is kept on the model")]
    run = nnkit.fit(small(*kept), ["eval.monitor=-dev_loss", "save.every=1 epoch"], quiet=True)
    assert "hidden.seen" not in nnkit.load(run.path).weights.arrays
    assert nnkit.load(run.path, "last").evaluate()["dev_loss"] > 0


NORMED = ("self.last =", "self.norm = nn.BatchNorm1d(8)\n        self.last =", FORWARD,
          "return self.last(self.dropout(self.norm(self.hidden(x))))")


@both
@pytest.mark.parametrize("size, way_out", [(23, 22), (1, 2)])
def test_a_last_batch_of_one_example_is_found_before_the_training(small, capsys, tmp_path, command, size, way_out):  # noqa: F811
    config = small(*NORMED)
    line, code = line_of(capsys, command, config, f"training.batch_size={size}")
    assert code == 2 and "leaves a last batch of one example" in line and "norm BatchNorm1d(8)" in line
    assert line.endswith(f"set training.batch_size: {way_out}") and not list(tmp_path.glob("runs/*"))
    assert line_of(capsys, command, config, f"training.batch_size={way_out}")[1] == 0


def test_looking_at_the_last_batch_leaves_generators_and_averages_alone(small):  # noqa: F811
    from nnkit.training.first_step import check_last_batch

    config = small(*NORMED)
    runs = []
    for looked in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not looked:
                patch.setattr("nnkit.training.session.check_last_batch", lambda *_: None)
            runs.append(nnkit.fit(config, ["training.epochs=1"], quiet=True).model.state_dict())
    assert all(np.array_equal(runs[0][name], runs[1][name]) for name in runs[0]) and check_last_batch
    assert runs[0]["norm.num_batches_tracked"] == 6
