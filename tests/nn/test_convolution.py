"""Conv1d and MaxOverTime: their equations, options, first values, and the mistakes they answer."""

import re

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, check_gradients, default_dtype, losses, nn, optim


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def test_convolution_is_its_equation():
    layer, x = nn.Conv1d(3, 4, 2, stride=2, padding=1, dilation=3, rng=0), normal(2, 3, 6)
    y, padded = layer(x), np.pad(x, ((0, 0), (0, 0), (1, 1)))
    assert y.shape == (2, 4, 3) and y.dtype == np.float32
    for t in range(3):
        expected = sum(padded[:, :, 2 * t + 3 * k] @ layer.weight.value[k] for k in range(2)) + layer.bias.value
        np.testing.assert_allclose(y.value[:, :, t], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("time", [1, 4])
@pytest.mark.parametrize("kernel_size", [1, 2, 5])
def test_same_keeps_the_length(kernel_size, time):
    assert nn.Conv1d(3, 4, kernel_size, padding="same", rng=0)(normal(2, 3, time)).shape == (2, 4, time)


def test_weights_start_uniform_within_one_over_root_of_what_a_kernel_sees():
    layer = nn.Conv1d(20, 50, 5, rng=0)
    assert layer.weight.shape == (5, 20, 50) and layer.bias.shape == (50,)
    assert 0.0999 < np.abs(layer.weight.value).max() <= 0.1 and np.abs(layer.bias.value).max() <= 0.1
    assert [name for name, _ in nn.Conv1d(3, 4, 2, bias=False).named_parameters()] == ["weight"]


@pytest.mark.parametrize("bias", [True, False])
def test_whole_layers_pass_the_gradient_check(bias):
    with default_dtype(np.float64):
        layer = nn.Conv1d(2, 3, 2, padding=1, bias=bias, rng=0)

        def loss(x, weight, *given):
            layer.weight, layer.bias = weight, given[0] if given else None
            return (nn.MaxOverTime()(layer(x) ** 2, np.array([3, 6]))).sum()

        values = [p.value for p in layer.parameters()]
        assert check_gradients(loss, normal(2, 2, 5, dtype=np.float64), *values) >= 20 + sum(v.size for v in values)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    one, other = (nn.Conv1d(3, 4, 2, rng=seed) for seed in (0, 1))
    nnkit.save(one, tmp_path / "layer.npz")
    nnkit.load_into(other, tmp_path / "layer.npz")
    np.testing.assert_array_equal(one(normal(2, 3, 5)).value, other(normal(2, 3, 5)).value)


def test_it_learns_which_texts_have_a_pair_of_words():
    rng = np.random.default_rng(0)
    ids, lengths = rng.integers(0, 5, (64, 8)), rng.integers(3, 9, 64)
    ids[:32, :2] = [1, 2]
    has = np.array([any((text[t:t + 2] == [1, 2]).all() for t in range(n - 1)) for text, n in zip(ids, lengths)])
    table, conv, head = nn.Embedding(5, 8, rng=0), nn.Conv1d(8, 12, 2, rng=1), nn.Linear(12, 2, rng=2)
    optimizer = optim.Adam([p for m in (table, conv, head) for p in m.parameters()], lr=0.03)
    for _ in range(80):
        features = nn.MaxOverTime()(nn.ReLU()(conv(table(ids).mT)), lengths - 1)
        loss = losses.cross_entropy(head(features), has.astype(int))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.05


@pytest.mark.parametrize("lengths", [None, [4, 1], np.array([2, 3], np.uint8)])
def test_the_largest_over_time(lengths):
    x = normal(2, 3, 4)
    y = nn.MaxOverTime()(x, lengths)
    for k, n in enumerate([4, 4] if lengths is None else lengths):
        np.testing.assert_array_equal(y.value[k], x[k, :, :n].max(axis=1))


def test_of_equal_ones_the_first_has_the_gradient():
    x = Tensor(np.ones((1, 1, 3)))
    nn.MaxOverTime()(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [[[1, 0, 0]]])


@pytest.mark.parametrize("options, shape, said", [
    ({}, (2, 4, 9), "Conv1d(3, 4, 5): expected an input of shape (n, 3, time), time at least 5 for a kernel over 5 steps, got "
     "(2, 4, 9)"),
    ({}, (2, 3, 4), "time at least 5 for a kernel over 5 steps, got (2, 3, 4)"), ({}, (3, 9), "got (3, 9)"),
    ({"dilation": 2, "padding": 1}, (2, 3, 6), "Conv1d(3, 4, 5, padding=1, dilation=2): expected an input of shape (n, 3, time), "
     "time at least 7 for a kernel over 9 steps, got (2, 3, 6)"),
    ({"padding": "same"}, (2, 3, 0), "time at least 1"), ({"padding": "valid"}, (2, 3, 4), "time at least 5")])
def test_inputs_that_do_not_fit_name_the_layer_and_both_shapes(options, shape, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        nn.Conv1d(3, 4, 5, **options, rng=0)(np.ones(shape, np.float32))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options, said", [
    ({"in_channels": 0}, "expected in_channels of at least 1, got 0"), ({"kernel_size": 0}, "kernel_size of at least 1, got 0"),
    ({"stride": 0}, "stride of at least 1, got 0"), ({"dilation": -1}, "dilation of at least 1, got -1"),
    ({"padding": -1}, "padding must be a number of at least 0, 'same' or 'valid', got -1"), ({"padding": "full"}, "got 'full'"),
    ({"padding": "same", "stride": 2}, "padding 'same' keeps the length, which needs a stride of 1, got 2")])
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValueError, match=f"^Conv1d: .*{re.escape(said)}"):
        nn.Conv1d(**{"in_channels": 3, "out_channels": 4, "kernel_size": 2, **options})


@pytest.mark.parametrize("shape, lengths, error, said", [
    ((2, 3), None, ValueError, "expected an input of shape (n, channels, time) of at least one step, got (2, 3)"),
    ((2, 3, 0), None, ValueError, "of at least one step, got (2, 3, 0)"),
    ((2, 3, 4), [0, 4], ValueError, "expected lengths from 1 to 4, the steps of the input, got 0 for sequence 0"),
    ((2, 3, 4), [5, 4], ValueError, "got 5 for sequence 0"), ((2, 3, 4), [4], ValueError, "expected 2 lengths"),
    ((2, 3, 4), [1.0, 2.0], TypeError, "lengths must be integers, got float")])
def test_a_maximum_over_nothing_is_refused(shape, lengths, error, said):
    with pytest.raises(error, match=re.escape("MaxOverTime(): ") + ".*" + re.escape(said)):
        nn.MaxOverTime()(np.ones(shape, np.float32), lengths)


def test_the_largest_of_every_window():
    x = normal(2, 3, 7)
    y = nn.MaxPool1d(3, stride=2, padding=1)(x).value
    assert y.shape == (2, 3, 4) and y.dtype == np.float32
    for t, window in enumerate([slice(0, 2), slice(1, 4), slice(3, 6), slice(5, 7)]):
        np.testing.assert_array_equal(y[:, :, t], x[:, :, window].max(axis=2))
    np.testing.assert_array_equal(nn.MaxPool1d(2)(x).value, x[:, :, :6].reshape(2, 3, 3, 2).max(axis=3))


@pytest.mark.parametrize("make, said", [
    (lambda: nn.MaxPool1d(0), "MaxPool1d: expected kernel_size of at least 1, got 0"),
    (lambda: nn.MaxPool1d(2, 0), "expected stride of at least 1, got 0"),
    (lambda: nn.MaxPool1d(3, padding=2), "MaxPool1d: padding must be from 0 to half of kernel_size 3, got 2"),
    (lambda: nn.MaxPool1d(3, dilation=2)(np.ones((2, 3, 4))), "MaxPool1d(3, dilation=2): expected an input of shape (n, "
     "channels, time), time at least 5 for a window over 5 steps, got (2, 3, 4)"),
    (lambda: nn.MaxPool1d(2)(np.ones((3, 4))), "got (3, 4)")])
def test_windows_that_do_not_fit_are_refused(make, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


def test_repr_is_how_it_was_made():
    for text in ("Conv1d(3, 4, 2)", "Conv1d(3, 4, 2, stride=2, padding=1, dilation=3, bias=False)",
                 "Conv1d(3, 4, 2, padding='same')", "MaxOverTime()",
                 "MaxPool1d(2)", "MaxPool1d(3, stride=1, padding=1, dilation=2)"):
        assert repr(eval(f"nn.{text}")) == text
