"""edugrad's modules, optimizer and batches."""

import numpy as np
import pytest
from edugrad_programs import leaf

from nnkit.compat.edugrad import Tensor, data, nn, ops, optim


def test_linear_draws_weight_and_bias_as_edugrad_does(seeded):
    layer = nn.Linear(3, 2)
    np.testing.assert_array_equal(layer.weight.value, seeded.uniform(-1, 1, (3, 2)) * (1 / np.sqrt(3)))
    np.testing.assert_array_equal(layer.bias.value, seeded.uniform(-1, 1, 2) * (1 / np.sqrt(3)))
    x = leaf(4, 3)
    np.testing.assert_allclose(layer(x).value, x.value @ layer.weight.value + layer.bias.value, rtol=1e-14)
    assert nn.Linear(3, 2, bias=False)(x).name == "matmul"


def test_parameters_are_the_attributes_in_the_order_they_were_first_set():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 3)
            self.table = leaf(5, 2)
            self.unseen = [leaf(7)]

        def forward(self, x, power=1):
            return self.layer(x) ** power

    model = Model()
    model.layer.weight = Tensor(np.ones((2, 3)))
    model.layer.bias.value = np.arange(3)
    assert [p.value.shape for p in model.parameters()] == [(5, 2), (2, 3), (3,)]
    assert model.parameters()[1:] == [model.layer.weight, model.layer.bias]
    ops.reduce_sum(model(leaf(4, 2), power=2)).backward()
    assert model.layer.weight.grad.any()
    model.zero_grad()
    assert not any(p.grad.any() for p in model.parameters())
    assert len(model._params) == len(model._modules) == 1


def test_sgd_steps_in_place_and_counts():
    x = Tensor(np.ones(3))
    value, optimizer = x.value, optim.SGD([x], lr=0.5)
    x.grad += 1
    optimizer.step()
    assert x.value is value
    np.testing.assert_array_equal(value, np.full(3, 0.5))
    optimizer.zero_grad()
    assert not x.grad.any()
    assert (optimizer._cur_step, optim.SGD([]).lr) == (1, 1e-4)


@pytest.mark.parametrize("call", [lambda: nn.Module()(1), optim.Optimizer([]).step, lambda: data.DataIterator()([], [])])
def test_what_a_subclass_has_to_write_is_named(call):
    with pytest.raises(NotImplementedError, match="has no"):
        call()


def test_batches_are_slices_in_the_order_that_edugrad_shuffles_them(seeded):
    inputs, targets = np.arange(14).reshape(7, 2), np.arange(7) * 10
    batches = data.BatchIterator(3)
    for recorded in ([[60], [30, 40, 50], [0, 10, 20]], [[60], [0, 10, 20], [30, 40, 50]]):
        found = list(batches(inputs, targets))
        assert [batch.targets.value.tolist() for batch in found] == recorded
        assert all(np.array_equal(batch.inputs.value[:, 0] * 5, batch.targets.value) for batch in found)
    (x, y), *_ = data.BatchIterator(32, shuffle=False)(inputs, list(targets))
    assert (len(x.value), x.name, y.name) == (7, "x", "y")
