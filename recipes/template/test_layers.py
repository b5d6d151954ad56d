"""What `pytest hw6` runs. Keep these tests while you change layers.py, and add one for each thing that yours should do."""

import numpy as np

from nnkit import check_gradients, losses, optim

from .layers import GatedLinear, gate


def test_backward_of_the_operation_is_the_derivative_of_forward():
    rng = np.random.default_rng(0)
    check_gradients(gate, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)))
    check_gradients(gate, rng.normal(size=(3, 4)), rng.normal(size=4))  # one row of gates for three of features


def test_the_operation_is_its_equation_where_exp_would_overflow_too():
    np.testing.assert_allclose(gate([2.0, 2.0, 2.0], [-1000.0, 0.0, 1000.0]).value, [0, 1, 2])


def test_backward_of_the_layer_is_the_derivative_by_its_input_and_by_its_parameters():
    layer = GatedLinear(4, 3, rng=0)
    x = np.random.default_rng(1).normal(size=(5, 4))
    assert len(list(layer.parameters())) == 4

    def output(x, W, b, V, c):
        layer.features.weight, layer.features.bias = W, b
        layer.gates.weight, layer.gates.bias = V, c
        return layer(x)

    check_gradients(output, x, *layer.parameters())


def test_the_layer_changes_the_last_axis_and_keeps_the_others():
    layer = GatedLinear(4, 3, rng=0)
    assert layer(np.ones((5, 4))).shape == (5, 3)
    assert layer(np.ones((2, 5, 4))).shape == (2, 5, 3)


def test_the_loss_falls_when_the_layer_is_trained():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4))
    wanted = np.where(x[:, :1] > 0, x[:, 1:2], 0)  # the first number decides whether the second one passes
    layer = GatedLinear(4, 1, rng=rng)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    seen = []
    for _ in range(100):
        loss = losses.mean_squared_error(layer(x), wanted)  # model → loss
        optimizer.zero_grad()
        loss.backward()                                     # backward
        optimizer.step()                                    # update
        seen.append(float(loss))
    assert seen[-1] < 0.5 * seen[0]
