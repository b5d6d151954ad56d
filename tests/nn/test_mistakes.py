"""What people get wrong who write layers: which layer it was stands in the error; what is no mistake is none."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from test_layers import LAYERS

import nnkit
from nnkit import Tensor, losses, nn, ops, optim

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
ANY_SHAPE = {"ReLU", "Tanh", "Sigmoid", "Dropout", "ELU", "GELU", "LeakyReLU", "LogSigmoid", "LogSoftmax", "SiLU", "Softmax",
             "Softplus", "Identity", "Embedding", "EmbeddingBag", "Flatten"}  # they take numbers, or ids, of any last axis
TIME_IS_LAST = {"Conv1d", "MaxPool1d", "MaxOverTime"}


class Clip(nn.Module):
    def forward(self, x):
        return np.maximum(x.value, 0)


class Nothing(nn.Module):
    def forward(self, x):
        ops.relu(x)


class Block(nn.Module):
    """Holds its layers in a list of dicts."""

    def __init__(self, layer):
        self.parts = [{"first": nn.Identity()}, {"second": layer}]

    def forward(self, x):
        return self.parts[1]["second"](self.parts[0]["first"](x))


# Sizes that do not fit

@pytest.mark.parametrize("name", sorted(set(LAYERS) - ANY_SHAPE))
@pytest.mark.parametrize("nested, path", [
    (lambda layer: nn.Sequential(nn.Identity(), layer), "layers.1"), (lambda layer: nn.Residual(layer), "layer"),
    (lambda layer: Block(layer), "parts.1.second"), (lambda layer: Block(nn.Sequential(layer)), "parts.1.second.layers.0")],
    ids=["Sequential", "Residual", "a list", "a list and Sequential"])
def test_a_wrong_size_names_the_path_of_the_layer_what_it_expects_and_what_it_got(name, nested, path):
    make, x = LAYERS[name]
    x = np.asarray(getattr(x, "value", x))
    x = x[None, None, None] if name in TIME_IS_LAST else np.concatenate([x, x[..., :1]], axis=-1)
    model = nested(make())
    with pytest.raises(ValueError) as error:
        model(x)
    text = str(error.value)
    at = text.split()[0]
    assert at.startswith(path) and at in dict(model.named_modules()) and "\n" not in text
    assert text.startswith(f"{at} {dict(model.named_modules())[at]!r}: expected ")
    assert f"got {x.shape}" in text


def test_every_layer_with_a_size_of_its_own_is_tried():
    for name in ANY_SHAPE & set(LAYERS):
        sizes = {"in_features", "num_features", "normalized_shape", "input_size", "in_channels", "d_model", "embed_dim"}
        assert not sizes & set(inspect.signature(getattr(nn, name)).parameters), name


def test_the_line_is_the_one_that_people_read():
    model = nn.Sequential(nn.Linear(50, 50, rng=0), nn.ReLU(), nn.Linear(64, 10, rng=0))
    with pytest.raises(ValueError) as error:
        model(np.ones((32, 50), np.float32))
    assert str(error.value) == "layers.2 Linear(64, 10): expected an input of shape (..., 64), got (32, 50)"


def test_an_error_of_a_layers_own_code_and_one_of_numpy_name_the_layer_too():
    class Own(nn.Module):
        def forward(self, x):
            raise IndexError("no third row")

    for layer, kind, text in [(Own(), IndexError, "layers.0 Own(): no third row"),
                              (nn.Softmax(dim=3), np.exceptions.AxisError, "layers.0 Softmax(dim=3): axis 3 is out of bounds"),
                              (nn.Identity, TypeError, "Sequential(<class 'nnkit.nn.paths.Identity'>): Identity() takes no")]:
        with pytest.raises(kind) as error:
            nn.Sequential(layer)(X)
        assert str(error.value).startswith(text)


def test_a_layer_that_is_found_on_no_path_is_named_with_the_one_around_it():
    class Hidden(nn.Module):
        def forward(self, x):
            return nn.Linear(7, 7, rng=0)(x)

    with pytest.raises(ValueError) as error:
        nn.Sequential(Hidden())(X)
    assert str(error.value).startswith("layers.0 Hidden(): Linear(7, 7): expected ")


@pytest.mark.parametrize("before, said", [(Nothing(), "its input is None: does what stands before it return nothing"),
                                          (lambda x: (x, x), "its input is a tuple of 2")])
def test_none_and_a_tuple_where_a_tensor_is_due_are_named(before, said):
    for layer in (nn.Linear(3, 3, rng=0), nn.ReLU(), nn.Dropout(0.5, rng=0), nn.LayerNorm(3)):
        with pytest.raises(Exception, match=r"layers\.1 .*" + said):
            nn.Sequential(before, layer)(Tensor(X))


def test_a_loss_of_none_says_where_to_look():
    with pytest.raises(TypeError, match=r"expected logits, .* got NoneType; what does the model's forward return"):
        losses.cross_entropy(nn.Sequential(Nothing())(Tensor(X)), np.zeros(4, int))


# A gradient that ends in a layer

def test_a_layer_that_returns_an_array_is_named_in_anomaly_mode_and_while_recording():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), Clip(), nn.Linear(4, 2, rng=0))
    said = r"layers\.1 Clip\(\): forward returned an array of shape \(4, 4\)"
    with nnkit.detect_anomaly(), pytest.raises(TypeError, match=said):
        model(X)
    with pytest.raises(nnkit.RecordingError, match=r"layers\.1 Clip\(\): while a function is recorded"):
        nnkit.record(lambda x: ops.sum(model(x)))(X)


def test_a_new_tensor_of_an_inputs_numbers_is_named_and_what_is_meant_is_not():
    def layer(function):
        class Layer(nn.Module):
            def forward(self, x):
                return function(x)
        return nn.Sequential(nn.Linear(3, 3, rng=0), Layer())

    with nnkit.detect_anomaly():
        with pytest.raises(TypeError, match="a new Tensor that was not computed from its input"):
            layer(lambda x: Tensor(np.maximum(x.value, 0)))(X)
        with pytest.raises(TypeError, match="an array of shape"):
            layer(lambda x: x.value)(X)
        for fine in (ops.relu, lambda x: x, lambda x: x.detach(), lambda x: x.value.argmax(axis=1), lambda x: (x, None),
                     lambda x: x.value > 0, lambda x: (ops.relu(x), x.value)):
            layer(fine)(X)
        with nnkit.no_grad():
            layer(lambda x: x.value * 2)(X)


def test_backward_of_a_loss_without_a_gradient_says_what_may_be_the_cause():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), Clip())
    with pytest.raises(RuntimeError, match=r"computed from \.value, or by a layer that returns an array\? nnkit\.detect_anomaly"):
        losses.cross_entropy(Tensor(model(X), requires_grad=False), np.zeros(4, int)).backward()


def test_what_is_kept_from_one_step_to_the_next_is_found_at_the_next_step():
    class Carry(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(3, 3, rng=0)
            self.h = np.zeros((4, 3), np.float32)

        def forward(self, x):
            self.h = ops.tanh(self.linear(x) + self.h)
            return self.h

    model = Carry()
    assert set(model.state_dict()) == {"linear.weight", "linear.bias"}
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step():
        loss = ops.sum(model(X))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step()
    assert [name for name, _ in model.named_results()] == ["h"]
    assert len(list(model.parameters())) == 2 and set(model.state_dict()) == {"linear.weight", "linear.bias"}
    with pytest.raises(RuntimeError, match=r"of what is kept from one step to the next, keep \.detach\(\)"):
        step()


# super().__init__() is needed nowhere

class Bare(nn.Module):
    def __init__(self, rng):
        self.linear = nn.Linear(3, 3, rng=rng)
        self.scale = Tensor(np.ones(3, np.float32))
        self.mean = Tensor(np.zeros(3, np.float32), requires_grad=False)
        self.more = {"a": [nn.Dropout(0.5, rng=rng)]}

    def forward(self, x):
        return self.more["a"][0](self.linear(x) * self.scale - self.mean)


class Derived(Bare):
    def __init__(self, rng):
        self.own = nn.Linear(3, 3, rng=rng)  # nothing of Bare's is set

    def forward(self, x):
        return self.own(x)


class Polite(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.linear = nn.Linear(3, 3, rng=rng)

    def forward(self, x):
        return self.linear(x)


@pytest.mark.parametrize("kind", [Bare, Derived, Polite])
def test_everything_works_without_super_init(kind, tmp_path):
    def made(seed):
        return nn.Sequential(kind(np.random.default_rng(seed)), nn.Residual(kind(np.random.default_rng(seed + 1))))

    model, other = made(0), made(7)
    inner = model[0]
    assert model.training and inner.training
    model.eval()
    assert not inner.training and not any(module.training for module in model.modules())
    np.testing.assert_array_equal(model(X).value, model(X).value)
    assert inner.train() is inner and inner.training and not model.training
    assert len(list(model.named_parameters())) == len(set(model.parameters())) == {Bare: 6, Derived: 4, Polite: 4}[kind]
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    before = model.state_dict()[next(iter(model.state_dict()))].copy()
    ops.sum(ops.square(model.train()(X))).backward()
    optimizer.step()
    assert not np.array_equal(before, model.state_dict()[next(iter(model.state_dict()))])
    model.zero_grad()
    nnkit.save(model, tmp_path / "m.npz")
    nnkit.load_into(other, tmp_path / "m.npz")
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), other):
        assert all(np.array_equal(a, b) for a, b in zip(copied.state_dict().values(), model.state_dict().values()))
        np.testing.assert_array_equal(copied.eval()(X).value, model.eval()(X).value)
    assert kind.__name__ in repr(model)
    step = nnkit.record(lambda x: ops.sum(model(x)))
    np.testing.assert_allclose(step(X).value, ops.sum(model(X)).value, rtol=1e-6)
