"""Each layer computes its equation, starts where its docstring says, and refuses what does not fit."""

import inspect

import numpy as np
import pytest

from nnkit import RowGrad, Tensor, check_gradients, default_dtype, losses, nn, optim


class OfItself(nn.Module):
    """A layer of several inputs, all of them one."""

    def __init__(self, layer, n):
        self.layer, self.n = layer, n

    def forward(self, x):
        return self.layer(*[x] * self.n)


LAYERS = {
    "Linear": (lambda rng=0: nn.Linear(3, 4, rng=rng), np.ones((2, 3), np.float32)),
    "Embedding": (lambda rng=0: nn.Embedding(5, 4, rng=rng), np.array([0, 1])),
    "Sequential": (lambda rng=0: nn.Sequential(nn.Linear(3, 4, rng=rng), np.tanh), np.ones((2, 3), np.float32)),
    "ReLU": (lambda rng=0: nn.ReLU(), np.ones((2, 3), np.float32)),
    "Tanh": (lambda rng=0: nn.Tanh(), np.ones((2, 3), np.float32)),
    "Sigmoid": (lambda rng=0: nn.Sigmoid(), np.ones((2, 3), np.float32)),
    "Dropout": (lambda rng=0: nn.Dropout(0.5, rng=rng), np.ones((2, 3), np.float32)),
    **{name: (lambda rng=0, name=name: getattr(nn, name)(), np.ones((2, 3), np.float32))
       for name in ("ELU", "GELU", "LeakyReLU", "LogSigmoid", "LogSoftmax", "SiLU", "Softmax", "Softplus", "Flatten")},
    "Identity": (lambda rng=0: nn.Identity(), Tensor(np.ones((2, 3), np.float32))),
    "LayerNorm": (lambda rng=0: nn.LayerNorm(3), np.ones((2, 3), np.float32)),
    "RMSNorm": (lambda rng=0: nn.RMSNorm(3), np.ones((2, 3), np.float32)),
    "BatchNorm1d": (lambda rng=0: nn.BatchNorm1d(3), np.ones((2, 3), np.float32)),
    "Highway": (lambda rng=0: nn.Highway(3, rng=rng), np.ones((2, 3), np.float32)),
    "Residual": (lambda rng=0: nn.Residual(nn.Linear(3, 3, rng=rng)), np.ones((2, 3), np.float32)),
    "EmbeddingBag": (lambda rng=0: nn.EmbeddingBag(5, 4, rng=rng), np.array([[0, 1]])),
    "RNN": (lambda rng=0: nn.RNN(3, 4, rng=rng), np.ones((5, 2, 3), np.float32)),
    "LSTM": (lambda rng=0: nn.LSTM(3, 4, 2, dropout=0.5, bidirectional=True, rng=rng), np.ones((5, 2, 3), np.float32)),
    "GRU": (lambda rng=0: nn.GRU(3, 4, batch_first=True, rng=rng), np.ones((2, 5, 3), np.float32)),
    "MultiHeadAttention": (lambda rng=0: OfItself(nn.MultiHeadAttention(4, 2, rng=rng), 3), np.ones((5, 2, 4), np.float32)),
    "TransformerEncoderLayer": (lambda rng=0: nn.TransformerEncoderLayer(4, 2, 8, rng=rng), np.ones((5, 2, 4), np.float32)),
    "TransformerDecoderLayer": (lambda rng=0: OfItself(nn.TransformerDecoderLayer(4, 2, 8, rng=rng), 2),
                                np.ones((5, 2, 4), np.float32)),
    "PositionalEncoding": (lambda rng=0: nn.PositionalEncoding(4, rng=rng), np.ones((5, 2, 4), np.float32)),
    "Conv1d": (lambda rng=0: nn.Conv1d(3, 4, 2, rng=rng), np.ones((2, 3, 5), np.float32)),
    "MaxPool1d": (lambda rng=0: nn.MaxPool1d(2), np.ones((2, 3, 5), np.float32)),
    "MaxOverTime": (lambda rng=0: nn.MaxOverTime(), np.ones((2, 3, 5), np.float32)),
}
every_layer = pytest.mark.parametrize("make, x", LAYERS.values(), ids=LAYERS)


def output(result):
    """A layer's result; a recurrent layer's without its last states."""
    return result[0] if isinstance(result, tuple) else result


def test_every_layer_is_tested_here():
    public = {name for name in nn.__all__ if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module)}
    assert public - {"Module"} == set(LAYERS)


@pytest.mark.case("autograd", 18)
@every_layer
def test_layers_are_float32_unless_the_default_is_changed(make, x):
    assert output(make()(x)).dtype == np.float32
    for dtype in (np.float32, np.float64):
        with default_dtype(dtype):
            assert all(p.dtype == dtype for p in make().parameters())


@every_layer
def test_the_same_generator_gives_the_same_layer(make, x):
    a, b = make(np.random.default_rng(5)), make(np.random.default_rng(5))
    np.testing.assert_array_equal(output(a(x)).value, output(b(x)).value)


@every_layer
def test_numpys_global_generator_is_left_alone(make, x):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make(None)(x)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@every_layer
def test_every_layer_has_a_docstring_and_a_repr_of_a_line(make, x):
    assert type(make()).__doc__ and "\n" not in repr(make())


def test_linear_is_x_w_plus_b():
    layer, x = nn.Linear(3, 4, rng=0), np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(layer(x).value, x @ layer.weight.value + layer.bias.value, rtol=1e-6)
    assert layer.weight.shape == (3, 4) and layer.bias.shape == (4,)


def test_linear_takes_one_row_a_list_or_a_tensor():
    layer = nn.Linear(2, 3, rng=0)
    for x in ([1.0, 2.0], np.array([1, 2]), Tensor([1.0, 2.0]), np.array([1.0, 2.0])):
        y = layer(x)
        assert y.shape == (3,) and y.dtype == np.float32


@pytest.mark.parametrize("bias", [True, False])
def test_linear_trains_with_and_without_bias(bias):
    layer = nn.Linear(3, 2, bias=bias, rng=0)
    assert len(list(layer.parameters())) == 1 + bias
    layer(np.ones((4, 3))).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, np.full((3, 2), 4))
    assert not bias or (layer.bias.grad == 4).all()


def test_linear_starts_uniform_within_one_over_root_of_its_inputs():
    layer = nn.Linear(400, 300, rng=0)
    for values in (layer.weight.value, layer.bias.value):
        assert np.abs(values).max() <= 0.05
    assert layer.weight.value.min() < -0.0499 and layer.weight.value.max() > 0.0499
    assert abs(layer.weight.value.mean()) < 5e-4 and abs(layer.weight.value.std() - 0.05 / 3 ** 0.5) < 5e-4


@pytest.mark.case("autograd", 41)
@pytest.mark.parametrize("shape", [(3, 5), (5,), (), (4, 1), (2, 3, 5)])
def test_linear_names_itself_and_both_sizes_where_the_input_does_not_fit(shape):
    with pytest.raises(ValueError) as error:
        nn.Linear(4, 2, rng=0)(np.ones(shape))
    assert "Linear(4, 2)" in str(error.value) and "(..., 4)" in str(error.value) and str(shape) in str(error.value)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (-1, 2)])
def test_linear_refuses_sizes_below_one(sizes):
    with pytest.raises(ValueError, match="at least 1"):
        nn.Linear(*sizes)


def test_embedding_gives_the_rows():
    layer = nn.Embedding(5, 3, rng=0)
    ids = np.array([[4, 0], [4, 4]])
    np.testing.assert_array_equal(layer(ids).value, layer.weight.value[ids])


def test_embedding_starts_normal():
    values = nn.Embedding(2000, 50, rng=0).weight.value
    assert abs(values.mean()) < 0.02 and abs(values.std() - 1) < 0.02


def test_embedding_has_rows_for_a_gradient_unless_dense_is_asked():
    for sparse, kind in [(True, RowGrad), (False, np.ndarray)]:
        layer = nn.Embedding(5, 3, sparse=sparse, rng=0)
        layer([1, 1]).sum().backward()
        assert type(layer.weight.grad) is kind
        np.testing.assert_array_equal(np.asarray(layer.weight.grad)[1], [2, 2, 2])


@pytest.mark.case("autograd", 25)
@pytest.mark.parametrize("ids, error", [([-1], IndexError), ([5], IndexError), ([0.5], TypeError)])
def test_embedding_refuses_other_ids(ids, error):
    with pytest.raises(error, match="embedding"):
        nn.Embedding(5, 3, rng=0)(ids)


@pytest.mark.case("autograd", 26)
@pytest.mark.parametrize("padding_idx", [0, 4, -1])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"weight_decay": 0.1}])
@pytest.mark.parametrize("sparse", [True, False])
def test_the_padding_row_is_zero_and_stays_so(padding_idx, options, sparse):
    layer = nn.Embedding(5, 3, padding_idx=padding_idx, sparse=sparse, rng=0)
    before = layer.weight.value.copy()
    optimizer = optim.SGD(layer.parameters(), lr=0.1, **options)
    for _ in range(10):
        optimizer.zero_grad()
        losses.mean_squared_error(layer(np.arange(5)), np.ones((5, 3))).backward()
        optimizer.step()
    assert not layer.weight.value[padding_idx].any()
    assert (np.delete(layer.weight.value != before, padding_idx, axis=0)).all()


@pytest.mark.parametrize("padding_idx", [5, -6])
def test_a_padding_row_outside_the_table_is_refused(padding_idx):
    with pytest.raises(ValueError, match="padding_idx"):
        nn.Embedding(5, 3, padding_idx=padding_idx)


def test_sequential_applies_one_after_the_other_any_callable_among_them():
    model = nn.Sequential(nn.Linear(3, 3, rng=0), np.tanh, lambda x: x * 2)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(model(x).value, 2 * np.tanh(model[0](x).value))
    assert len(model) == 3 and len(nn.Sequential()) == 0


@pytest.mark.parametrize("layer, function", [(nn.ReLU, lambda x: np.maximum(x, 0)), (nn.Tanh, np.tanh),
                                             (nn.Sigmoid, lambda x: 1 / (1 + np.exp(-x)))])
def test_activations(layer, function):
    x = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(layer()(Tensor(x)).value, function(x), rtol=1e-12)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_scales_what_it_keeps(p):
    x = np.ones((400, 400))
    y = nn.Dropout(p, rng=0)(Tensor(x)).value
    kept = y != 0
    assert abs(kept.mean() - (1 - p)) < 0.005 and abs(y.mean() - 1) < 0.03
    np.testing.assert_allclose(y[kept], 1 / (1 - p), rtol=1e-12)


def test_dropout_passes_gradients_where_it_passed_values():
    x = Tensor(np.ones(1000))
    y = nn.Dropout(0.5, rng=0)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.value)


def test_dropout_draws_another_mask_each_time():
    layer, x = nn.Dropout(0.5, rng=0), Tensor(np.ones(100))
    assert (layer(x).value != layer(x).value).any()


def test_dropout_does_nothing_in_evaluation_or_with_probability_zero():
    x = Tensor(np.ones(10))
    layer = nn.Dropout(0.5, rng=0)
    state = layer.rng.bit_generator.state
    assert layer.eval()(x) is x and layer.rng.bit_generator.state == state
    assert (layer.train()(x).value != 1).all() and nn.Dropout(0.0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_dropout_refuses_what_is_no_probability_below_one(p):
    with pytest.raises(ValueError, match="p must be"):
        nn.Dropout(p)


def test_a_model_of_layers_passes_the_gradient_check():
    with default_dtype(np.float64):
        model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1), nn.Sigmoid())

        def loss(weight, bias, x):
            model[0].weight, model[0].bias = weight, bias
            return model(x).sum()

        x = np.random.default_rng(0).standard_normal((5, 3))
        assert check_gradients(loss, model[0].weight, model[0].bias, x) > 12 + 4 + 15


def test_init_functions_give_trainable_leaves_of_the_default_dtype():
    for dtype in (np.float16, np.float32, np.float64):
        with default_dtype(dtype):
            for t in (nn.init.uniform((2, 3), 0.5, 0), nn.init.normal((2, 3), 0.1, 0), nn.init.zeros((2, 3))):
                assert t.shape == (2, 3) and t.dtype == dtype and t.requires_grad and t.is_leaf
