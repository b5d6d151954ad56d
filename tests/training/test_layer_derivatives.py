"""nnkit check --gradcheck looks at every layer by itself: a wrong one is named, and none that is right."""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnkit import Tensor, UserError, default_dtype, nn, ops
from nnkit.commands.check import main
from nnkit.training.derivatives import check_derivatives, in_float64, the_same_each_time
from nnkit.training.layer_derivatives import check_layers

sys.path.insert(0, str(Path(__file__).parent.parent / "nn"))
from test_layers import LAYERS, output

sys.path.pop(0)


class Task:
    """A recipe as far as gradcheck asks for it: the sum of squares of what the model gives."""

    not_derivatives: tuple[str, ...] = ()

    def loss(self, model, x):
        return ops.sum(ops.square(output(model(x))))


class Around(nn.Module):
    """Puts numbers with a parameter in front of a layer, so that its input wants a gradient, too."""

    def __init__(self, layer):
        self.shift = Tensor(np.zeros(1, np.float32))
        self.layer = layer

    def forward(self, x):
        return self.layer(x if np.asarray(x).dtype.kind in "iu" else ops.add(x, self.shift))


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=2, deadline=None)
@given(kinked=st.booleans(), seed=st.integers(0, 100))
@example(kinked=True, seed=5)  # no element that is looked at is at a kink of ReLU, the direction crosses several
def test_every_layer_of_ours_passes_with_zeros_and_ties_among_its_inputs_too(name, kinked, seed):
    make, x = LAYERS[name]
    x = np.asarray(getattr(x, "value", x))
    if x.dtype.kind == "f":
        rng = np.random.default_rng(seed)
        x = rng.choice([-1.0, 0.0, 1.0], x.shape) if kinked else rng.standard_normal(x.shape)
    model = Around(make())
    with pytest.MonkeyPatch.context() as patch, in_float64(model), default_dtype(np.float64):
        patch.setattr("nnkit.training.layer_derivatives.ELEMENTS", (2, 2))
        loss, reset = the_same_each_time(Task(), model, x)
        said, wrong = check_layers(loss, model, (), reset)
    assert wrong is None and "by themselves" in said


LAYERS_FILE = """\
import numpy as np
from nnkit import Operation, Tensor, nn, ops, tensor_op


@tensor_op
class squash(Operation):
    @staticmethod
    def forward(ctx, x):
        y = np.tanh(x)
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx
        return [WRONG]


class Gate(nn.Module):
    def __init__(self, n):
        self.linear = nn.Linear(n, n, rng=0)

    def forward(self, x):
        return GATE
"""

CONFIG = "recipe: own.py\ntraining: {epochs: 1}\noptimizer: {lr: 0.1}\nlog: {every: 1 epoch}\n"
RIGHT = "grad_output * (1 - y * y)"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """own(wrong, gate) is the config of a recipe whose model has a layer of layers.py, deep inside."""
    from test_checking import RECIPE

    def written(wrong=RIGHT, gate="squash(self.linear(x))", text=RECIPE):
        layers = LAYERS_FILE.replace("WRONG", wrong).replace("GATE", gate)
        (tmp_path / "layers.py").write_text(layers, encoding="utf-8")
        text = text.replace("import math", "import math\nfrom layers import Gate", 1).replace(
            "self.dropout = nn.Dropout(0.5, rng=rng)",
            "self.dropout = nn.Sequential(nn.Dropout(0.2, rng=rng), nn.Residual(nn.Sequential(nn.ReLU(), Gate(8))))")
        (tmp_path / "own.py").write_text(text, encoding="utf-8")
        (tmp_path / "own.yaml").write_text(CONFIG, encoding="utf-8")
        return tmp_path / "own.yaml"

    monkeypatch.chdir(tmp_path)
    return written


def line_of(text, which=0):
    """The number of a line of the file that begins so."""
    return [i for i, line in enumerate(LAYERS_FILE.splitlines(), 1) if line.strip().startswith(text)][which]


PATH = "dropout.layers.1.layer.layers.1 Gate"


@pytest.mark.parametrize("wrong, cause", [
    (f"-{RIGHT}", "the sign is wrong"), (f"2 * {RIGHT}", "is it added twice"),
    ("grad_output", "the function's own derivative is missing"),
    ("None", "backward gives nothing"), (f"{RIGHT} + 1", "added without being multiplied by grad_output"),
    (f"({RIGHT}).mean(axis=0, keepdims=True) + 0 * y", "wrong axis: backward mixes along axis 0, forward along none"),
    (f"np.where(y > 0, {RIGHT}, 0.9 * grad_output)", "only where the input is at most"),
    (f"{RIGHT} if len(y) < 4 else ({RIGHT})[:2]", "its gradient (2, 8)")])
def test_a_wrong_operation_of_a_layer_in_a_file_is_the_culprit_not_what_is_above_it(own, capsys, wrong, cause):
    assert main([str(own(wrong)), "--gradcheck"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and cause in err
    if "its gradient" not in cause:  # the training itself finds that
        assert err.startswith(f"error: gradcheck: {PATH}: operation squash (")
        assert f"layers.py:{line_of('@staticmethod', 1)}): input 0 at [" in err
        assert "backward gives " in err and "the difference quotient " in err


@pytest.mark.parametrize("gate", ["squash(self.linear(x)) * np.tanh(x.value)", "squash(self.linear(x.detach()))",
                                  "squash(self.linear(x)) + Tensor(np.exp(self.linear.weight.value.sum()), requires_grad=False)"])
def test_a_layer_of_right_operations_in_which_a_gradient_ends_is_named_with_its_file(own, capsys, gate):
    assert main([str(own(gate=gate)), "--gradcheck"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: gradcheck: {PATH} (") and f"layers.py:{line_of('class Gate')}): " in err
    assert "Each operation in it is right: does the gradient end, or start anew, in its forward" in err


def test_right_layers_pass_and_a_rule_is_left_out_by_the_name_of_a_layer_or_an_operation(own, capsys):
    from test_checking import RECIPE

    assert main([str(own()), "--gradcheck"]) == 0
    assert "by themselves" in capsys.readouterr().out
    for rule in ("Gate", "dropout.layers.1.layer.layers.1", "squash"):
        wrong = ["hidden.linear.weight", "hidden.linear.bias", f"{PATH[:-5]}.linear.weight", f"{PATH[:-5]}.linear.bias"]
        text = RECIPE.replace("measures =", f"not_derivatives = {(rule, *wrong)!r}\n    measures =")
        assert main([str(own("grad_output", text=text)), "--gradcheck"]) == 0
    assert main([str(own("grad_output")), "--gradcheck"]) == 1


class Pair(NamedTuple):
    left: Tensor
    right: np.ndarray


def test_inputs_that_lie_in_tuples_with_names_are_moved_too():
    class Product(nn.Module):
        def forward(self, pair, *, wrong):
            return ops.multiply(pair.left.detach() if wrong else pair.left, pair.left)

    class Whole(nn.Module):
        def __init__(self, wrong):
            self.linear, self.product, self.wrong = nn.Linear(3, 3, rng=0), Product(), wrong

        def forward(self, x):
            return self.product(Pair(self.linear(x), x), wrong=self.wrong)

    assert "agree" in check_derivatives(Task(), Whole(False), np.ones((2, 3)))[1]
    with pytest.raises(UserError, match=r"gradcheck: product Product\(\) \(.*: its input 0 at "):
        check_derivatives(Task(), Whole(True), np.ones((2, 3)))


def test_a_wrong_layer_whose_input_is_data_is_found_by_its_parameters():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = Tensor(np.ones(3, np.float32))

        def forward(self, x):
            return ops.multiply(x, self.scale) * self.scale.detach()

    with pytest.raises(UserError, match=r"gradcheck: layers\.0 Scaled\(\) \(.*scale at \[\d\]"):
        check_derivatives(Task(), nn.Sequential(Scaled()), np.ones((2, 3)))
