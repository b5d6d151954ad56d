"""Normalizing layers: their equations in float64, running averages, what they refuse; and that a recording keeps all of it."""

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, check_gradients, default_dtype, nn, ops
from nnkit.ops import normalization

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 3)) * 4 + 10


def normal(x, axis, eps):
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)


def float64(make, *given, **options):
    with default_dtype(np.float64):
        return make(*given, **options)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("shape, axes", [(3, (-1,)), ((3,), (-1,)), ((2, 3), (-2, -1))])
def test_layer_norm_is_its_equation(shape, axes, dtype, tolerance):
    layer, x = nn.LayerNorm(shape, eps=0.01), RNG.standard_normal((4, 2, 3)).astype(dtype)
    layer.weight.value, layer.bias.value = (RNG.standard_normal(layer.weight.shape).astype(dtype) for _ in range(2))
    y = layer(Tensor(x))
    assert y.dtype == dtype
    np.testing.assert_allclose(y.value, normal(x.astype(float), axes, 0.01) * layer.weight.value + layer.bias.value,
                               rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("eps", [None, 0.1])
def test_rms_norm_is_its_equation(eps, dtype, tolerance):
    layer, x = nn.RMSNorm(3, eps), X.astype(dtype)
    y, step = layer(Tensor(x)), np.finfo(dtype).eps
    assert y.dtype == dtype
    np.testing.assert_allclose(y.value, x / np.sqrt((x.astype(float) ** 2).mean(1, keepdims=True) + (eps or step)),
                               rtol=tolerance)


def test_what_shifts_or_stretches_an_example_changes_nothing_behind_layer_norm():
    layer = float64(nn.LayerNorm, 3, eps=0.0)
    np.testing.assert_allclose(layer(Tensor(X * 7 - 3)).value, layer(Tensor(X)).value, rtol=1e-10)
    assert layer(Tensor(X)).value.std(axis=1) == pytest.approx(1)


def test_small_whole_numbers_do_not_wrap_around():
    x = np.array([[100, 101, 127], [-128, 127, 0]], np.int8)
    for make in (nn.LayerNorm, nn.RMSNorm, lambda n: nn.BatchNorm1d(n)):
        y = make(3)(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.value, make(3)(x.astype(np.float32)).value, rtol=1e-5, atol=1e-6)


def test_rows_of_many_blocks_are_each_normalized_by_themselves(monkeypatch):
    monkeypatch.setattr(normalization, "BLOCK", 64 * 90)  # and a last block of 70 rows
    x, layer = RNG.standard_normal((700, 64)), float64(nn.LayerNorm, 64)
    weights, u = RNG.standard_normal((700, 64)), Tensor(x)
    ops.sum(layer(u) * weights).backward()
    grad, by_weight = u.grad, layer.weight.grad
    alone = Tensor(x[300:301])
    ops.sum(layer(alone) * weights[300:301]).backward()
    np.testing.assert_allclose(layer(u).value, normal(x, 1, 1e-5), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(grad[300:301], alone.grad, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(by_weight, (normal(x, 1, 1e-5) * weights).sum(axis=0), rtol=1e-10)


def test_numbers_far_from_zero_lose_no_digits():
    x = Tensor((X + 1e4).astype(np.float32))
    exact = x.value.astype(float)
    np.testing.assert_allclose(nn.LayerNorm(3)(x).value, normal(exact, 1, 1e-5), atol=5e-3)
    np.testing.assert_allclose(nn.BatchNorm1d(3)(x).value, normal(exact, 0, 1e-5), atol=5e-3)


@pytest.mark.parametrize("offset", [0, 1, 1e3, 1e4])
def test_values_and_gradients_far_from_zero_are_as_exact_as_pytorchs(offset):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    given = [a.astype(np.float32) for a in (rng.standard_normal((300, 128)) + offset, *rng.standard_normal((2, 128)))]
    grad = rng.standard_normal((300, 128)).astype(np.float32)

    def ours(dtype):
        leaves = [Tensor(a.astype(dtype)) for a in given]
        y = ops.layer_norm(*leaves)
        y.backward(grad)
        return [y.value, *(t.grad for t in leaves)]

    leaves = [torch.tensor(a, requires_grad=True) for a in given]
    y = torch.nn.functional.layer_norm(leaves[0], (128,), *leaves[1:])
    y.backward(torch.tensor(grad))
    theirs = [y.detach().numpy(), *(t.grad.numpy() for t in leaves)]
    for exact, a, b in zip(ours(np.float64), ours(np.float32), theirs):
        assert np.abs(a - exact).max() <= 1.5 * np.abs(b - exact).max()


@pytest.mark.parametrize("layer, n", [(nn.LayerNorm(3, elementwise_affine=False), 0), (nn.LayerNorm(3, bias=False), 1),
                                      (nn.RMSNorm(3, elementwise_affine=False), 0), (nn.BatchNorm1d(3, affine=False), 0),
                                      (nn.BatchNorm1d(3, bias=False), 1), (nn.LayerNorm(3), 2), (nn.BatchNorm1d(3), 2)], ids=repr)
def test_parameters_are_those_that_were_asked_for(layer, n):
    assert len(list(layer.parameters())) == n
    x = Tensor(X)
    ops.sum(ops.square(layer(x))).backward()
    assert x.grad.shape == X.shape and all(p.grad is not None for p in layer.parameters())


@pytest.mark.parametrize("layer", [nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d])
def test_gradients_of_layers_are_derivatives(layer):
    layer = float64(layer, 3)

    def loss(x, weight):
        layer.weight = weight
        return (layer(x) * np.arange(15).reshape(5, 3)).sum()

    assert check_gradients(loss, X, layer.weight) >= 18


@pytest.mark.parametrize("layer, shape, said", [
    (nn.LayerNorm(4), (2, 3), r"LayerNorm\(4\): expected an input of shape \(..., 4\), got \(2, 3\)"),
    (nn.LayerNorm((2, 4)), (4,), r"LayerNorm\(\(2, 4\)\): expected an input of shape \(..., 2, 4\), got \(4,\)"),
    (nn.RMSNorm(4), (), r"RMSNorm\(4\): expected an input of shape \(..., 4\), got \(\)"),
    (nn.BatchNorm1d(4), (2, 3), r"BatchNorm1d\(4\): expected an input of shape \(batch, 4\) or .*, got \(2, 3\)"),
    (nn.BatchNorm1d(4), (4,), r"expected an input of shape \(batch, 4\) or .*, got \(4,\)"),
    (nn.BatchNorm1d(4), (1, 4), r"at least two values a feature in training, got an input of shape \(1, 4\); take a batch"),
    (nn.BatchNorm1d(4), (0, 4), "at least two values a feature in training")])
def test_an_input_that_does_not_fit_is_refused_with_layer_expected_and_got(layer, shape, said):
    with pytest.raises(ValueError, match=said):
        layer(np.ones(shape, np.float32))


@pytest.mark.parametrize("make", [lambda: nn.LayerNorm(0), lambda: nn.LayerNorm(()), lambda: nn.RMSNorm((3, 0)),
                                  lambda: nn.BatchNorm1d(0)])
def test_sizes_below_one_are_refused(make):
    with pytest.raises(ValueError, match="at least 1"):
        make()


@pytest.mark.parametrize("momentum, share", [(0.1, lambda k: 0.1), (1.0, lambda k: 1.0), (None, lambda k: 1 / k)])
@pytest.mark.parametrize("length", [(), (2,)])
def test_running_averages_move_in_training_and_stand_in_for_the_batch_in_evaluation(momentum, share, length):
    layer = float64(nn.BatchNorm1d, 3, momentum=momentum)
    mean, variance = np.zeros(3), np.ones(3)
    over, column = (0, 2)[:1 + len(length)], (3, 1)[:1 + len(length)]
    for k in range(1, 5):
        x = RNG.standard_normal((4, 3, *length)) + k
        y = layer(Tensor(x))
        np.testing.assert_allclose(y.value, normal(x, over, 1e-5), rtol=1e-10)
        mean += share(k) * (x.mean(axis=over) - mean)
        variance += share(k) * (x.var(axis=over, ddof=1) - variance)
    np.testing.assert_allclose(layer.running_mean.value, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.value, variance, rtol=1e-12)
    assert layer.num_batches_tracked.value == 4
    y = layer.eval()(Tensor(x))
    np.testing.assert_allclose(y.value, (x - mean.reshape(column)) / np.sqrt(variance.reshape(column) + 1e-5), rtol=1e-12)
    np.testing.assert_allclose(layer(Tensor(x[:1])).value, y.value[:1], rtol=1e-12)  # each by itself, whatever is beside it
    assert layer.num_batches_tracked.value == 4 and layer.running_mean.dtype == np.float64


def test_float32_stays_float32_in_the_running_averages():
    layer = nn.BatchNorm1d(3)
    assert layer(X.astype(np.float32)).dtype == layer.eval()(X.astype(np.float32)).dtype == np.float32
    assert {name: x.dtype.name for name, x in layer.state_dict().items()} == {
        "weight": "float32", "bias": "float32", "running_mean": "float32", "running_var": "float32",
        "num_batches_tracked": "int64"}


def test_without_running_averages_a_batch_is_normalized_by_itself_in_evaluation_too():
    layer = float64(nn.BatchNorm1d, 3, track_running_stats=False)
    assert list(layer.state_dict()) == ["weight", "bias"]
    np.testing.assert_array_equal(layer(Tensor(X)).value, layer.eval()(Tensor(X)).value)


def test_running_averages_are_saved_and_loaded(tmp_path):
    model, other = nn.Sequential(nn.BatchNorm1d(3), nn.LayerNorm(3)), nn.Sequential(nn.BatchNorm1d(3), nn.LayerNorm(3))
    model(X.astype(np.float32))
    nnkit.save(model, tmp_path / "model.npz")
    nnkit.load_into(other, tmp_path / "model.npz")
    for (name, one), two in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
    assert other[0].num_batches_tracked.value == 1
    np.testing.assert_array_equal(model.eval()(X).value, other.eval()(X).value)


def test_running_averages_want_no_gradient_and_are_no_parameters():
    layer = nn.BatchNorm1d(3)
    assert [name for name, _ in layer.named_buffers()] == ["running_mean", "running_var", "num_batches_tracked"]
    for _ in range(2):
        ops.sum(ops.square(layer(X) + layer.eval()(X))).backward()
        layer.train()
    assert layer.running_mean.grad is None and (layer.weight.grad != 0).all()


def test_a_recorded_step_moves_the_running_averages_once_a_step_and_sees_them_in_evaluation():
    dynamic, recorded = float64(nn.BatchNorm1d, 3), float64(nn.BatchNorm1d, 3)
    step = nnkit.record(lambda x: ops.sum(ops.square(recorded(x) * np.array([1.0, 2, 3]))))
    for k in range(4):
        for mode in (True, False):
            dynamic.train(mode), recorded.train(mode)
            expected = ops.sum(ops.square(dynamic(X * (k + 1)) * np.array([1.0, 2, 3])))
            expected.backward()
            assert float(step(X * (k + 1))) == pytest.approx(float(expected), rel=1e-12)
            for name, value in dynamic.state_dict().items():
                np.testing.assert_allclose(recorded.state_dict()[name], value, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(recorded.weight.grad, dynamic.weight.grad, rtol=1e-10)


def test_second_derivatives_do_not_move_the_running_averages():
    layer = float64(nn.BatchNorm1d, 3)
    x = Tensor(X)
    ops.sum(ops.square(layer(x) * np.arange(5.0)[:, None])).backward(create_graph=True)
    ops.sum(ops.square(x.grad)).backward()
    assert layer.num_batches_tracked.value == 1
