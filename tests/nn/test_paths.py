"""Identity, Flatten, Residual, Highway, the activations as modules, and EmbeddingBag: equations, refusals."""

import math

import numpy as np
import pytest

from nnkit import RowGrad, Tensor, check_gradients, default_dtype, losses, nn, optim

X = np.random.default_rng(0).standard_normal((2, 3))


@pytest.mark.parametrize("layer, function", [
    (nn.LeakyReLU(), lambda x: max(x, 0.01 * x)), (nn.LeakyReLU(0.3), lambda x: max(x, 0.3 * x)),
    (nn.ELU(), lambda x: x if x > 0 else math.exp(x) - 1), (nn.ELU(0.5), lambda x: x if x > 0 else 0.5 * (math.exp(x) - 1)),
    (nn.GELU(), lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    (nn.GELU("tanh"), lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))) / 2),
    (nn.SiLU(), lambda x: x / (1 + math.exp(-x))), (nn.Softplus(), lambda x: math.log1p(math.exp(x))),
    (nn.Softplus(3.0), lambda x: math.log1p(math.exp(3 * x)) / 3), (nn.LogSigmoid(), lambda x: -math.log1p(math.exp(-x))),
    (nn.Identity(), lambda x: x)], ids=lambda given: repr(given) if isinstance(given, nn.Module) else "formula")
def test_activations_are_their_formulas(layer, function):
    x = np.linspace(-3, 3, 13)
    y = layer(Tensor(x))
    np.testing.assert_allclose(y.value, [function(v) for v in x], rtol=1e-12, atol=1e-15)
    assert layer(Tensor(x.astype(np.float32))).dtype == np.float32


@pytest.mark.parametrize("dim", [-1, 0, 1])
def test_softmax_sums_to_one_along_its_axis(dim):
    y = nn.Softmax(dim)(Tensor(X)).value
    np.testing.assert_allclose(y.sum(axis=dim), 1)
    np.testing.assert_allclose(nn.LogSoftmax(dim)(Tensor(X)).value, np.log(y), rtol=1e-12)


@pytest.mark.parametrize("make, said", [(lambda: nn.GELU("tan"), "approximate must be 'none' or 'tanh', got 'tan'"),
                                        (lambda: nn.Softplus(0.0), "beta must be above 0, got 0.0"),
                                        (lambda: nn.Highway(0), "in_features of at least 1, got 0"),
                                        (lambda: nn.EmbeddingBag(3, 2, "max"), "mode must be 'mean' or 'sum', got 'max'")])
def test_options_that_mean_nothing_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("options, shape", [({}, (2, 12)), ({"start_dim": 0}, (24,)), ({"start_dim": -2}, (2, 12)),
                                            ({"end_dim": 1}, (2, 3, 4)), ({"start_dim": 0, "end_dim": 1}, (6, 4))])
def test_flatten_makes_axes_one(options, shape):
    x = Tensor(np.arange(24.0).reshape(2, 3, 4))
    y = nn.Flatten(**options)(x)
    assert y.shape == shape
    np.testing.assert_array_equal(y.value.reshape(-1), np.arange(24))
    assert nn.Flatten()(np.ones((0, 3, 4))).shape == (0, 12)


@pytest.mark.parametrize("options, shape", [({}, (3,)), ({}, ()), ({"start_dim": 2, "end_dim": 1}, (2, 3, 4)),
                                            ({"end_dim": 3}, (2, 3)), ({"start_dim": -4}, (2, 3))])
def test_flatten_names_itself_and_the_shape_where_there_are_no_such_axes(options, shape):
    with pytest.raises(ValueError, match=r"Flatten\(start_dim=.*shape \(.*has no axes"):
        nn.Flatten(**options)(np.ones(shape))


def test_residual_adds_what_its_layer_makes():
    layer = nn.Residual(nn.Linear(3, 3, rng=0))
    np.testing.assert_allclose(layer(X).value, X + layer.layer(X).value, rtol=1e-6)
    assert [name for name, _ in layer.named_parameters()] == ["layer.weight", "layer.bias"]
    np.testing.assert_allclose(nn.Residual(np.tanh)(Tensor(X)).value, X + np.tanh(X))


@pytest.mark.parametrize("features", [1, 4])
def test_residual_says_both_shapes_where_they_differ_even_if_they_would_broadcast(features):
    with pytest.raises(ValueError) as error:
        nn.Residual(nn.Linear(3, features, rng=0))(X)
    assert f"Residual(Linear(3, {features})): " in str(error.value) and "\n" not in str(error.value)
    assert f"(2, {features}) of (2, 3)" in str(error.value)


def test_highway_is_its_equation_and_passes_its_input_at_first():
    layer = nn.Highway(3, gate_bias=-2.0, rng=0)
    t = 1 / (1 + np.exp(-layer.gate(X).value))
    np.testing.assert_allclose(layer(X).value, t * np.maximum(layer.transform(X).value, 0) + (1 - t) * X, rtol=1e-5)
    assert (layer.gate.bias.value == -2).all() and not (layer.gate.weight.value == layer.transform.weight.value).any()
    np.testing.assert_allclose(nn.Highway(3, gate_bias=-30, rng=0)(X).value, X, rtol=1e-6)


def test_highway_refuses_another_width_with_expected_and_got():
    with pytest.raises(ValueError, match=r"Highway\(4\): expected an input of shape \(..., 4\), got \(2, 3\)"):
        nn.Highway(4)(X)


def test_a_model_of_these_layers_passes_the_gradient_check():
    with default_dtype(np.float64):
        inner = nn.Sequential(nn.Linear(3, 3, rng=1), nn.GELU())
        model = nn.Sequential(nn.Highway(3, rng=0), nn.LayerNorm(3), nn.Residual(inner), nn.RMSNorm(3), nn.SiLU(),
                              nn.LogSoftmax())
    names, parameters = zip(*model.named_parameters())

    def loss(x, *values):
        for p, v in zip(parameters, values):
            p.value = v.value
        return losses.nll_loss(model(x), [0, 2])

    x = Tensor(X)
    loss(x, *parameters).backward()
    assert check_gradients(lambda x: loss(x, *parameters), X) >= 6
    assert all(np.abs(p.grad).sum() > 0 for p in parameters) and len(set(names)) == 9


IDS = np.array([[4, 0, 1], [0, 0, 2]])


@pytest.mark.parametrize("mode", ["mean", "sum"])
def test_a_bag_is_the_sum_or_mean_of_its_rows_in_either_form(mode):
    layer = nn.EmbeddingBag(5, 4, mode, rng=0)
    expected = getattr(layer.weight.value[IDS], mode)(axis=1)
    np.testing.assert_allclose(layer(IDS).value, expected, rtol=1e-6)
    np.testing.assert_allclose(layer(IDS.reshape(-1), [0, 3]).value, expected, rtol=1e-6)
    whole = nn.EmbeddingBag(5, 4, mode, include_last_offset=True, rng=0)
    np.testing.assert_allclose(whole(IDS.reshape(-1), [0, 3, 6]).value, expected, rtol=1e-6)


@pytest.mark.parametrize("sparse", [True, False])
def test_padding_counts_nothing_and_its_row_stays_zero(sparse):
    layer = nn.EmbeddingBag(5, 4, padding_idx=0, sparse=sparse, rng=0)
    weight = layer.weight.value.copy()
    np.testing.assert_allclose(layer(IDS).value, [weight[[4, 1]].mean(axis=0), weight[2]], rtol=1e-6)
    np.testing.assert_array_equal(layer(np.zeros((2, 3), int)).value, 0)
    np.testing.assert_allclose(layer(IDS, None, IDS + 1.0).value, [(5 * weight[4] + 2 * weight[1]) / 2, 3 * weight[2]], rtol=1e-6)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    layer(IDS).sum().backward()
    assert type(layer.weight.grad) is (RowGrad if sparse else np.ndarray)
    optimizer.step()
    assert not layer.weight.value[0].any() and (layer.weight.value[[1, 2, 4]] != weight[[1, 2, 4]]).all()


@pytest.mark.parametrize("padding", [None, 0])
@pytest.mark.parametrize("inputs, error", [
    (([0, 5], [0]), IndexError), (([0, -1], [0]), IndexError), (([0, 1],), ValueError), ((IDS, [0, 1]), ValueError),
    (([0, 1], [1]), ValueError), (([0, 1], [0, 3]), ValueError), (([0, 1], [0, -1]), ValueError), (([0.5], [0]), TypeError),
    (([0, 1], [0], [1.0]), ValueError)])
def test_ids_offsets_and_weights_that_do_not_fit_are_refused(inputs, error, padding):
    with pytest.raises(error, match=r"[Ee]mbedding"):
        nn.EmbeddingBag(5, 4, padding_idx=padding, rng=0)(*inputs)


@pytest.mark.parametrize("offsets", [[0, 1], [], [[0, 2]], 2])
def test_the_last_offset_that_is_included_is_the_number_of_ids(offsets):
    with pytest.raises(ValueError, match="the last offset is the number of ids, 2, got"):
        nn.EmbeddingBag(5, 4, include_last_offset=True)(np.array([0, 1]), offsets)
