"""What shows only after many steps: memory that grows, threads that meet, graphs deeper than a stack.

NNKIT_STEPS: how many steps (300; long checks take 10,000). Graphs have ten nodes for each of them.
"""

import gc
import os
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, losses, nn, ops, optim

STEPS = int(os.environ.get("NNKIT_STEPS", "300"))


class Words(nn.Module):
    """Rows of a table, averaged, through two layers: row gradients and dense ones, a generator in between."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.table = nn.Embedding(50, 8, rng=rng)
        self.layers = nn.Sequential(nn.Linear(8, 8, rng=rng), nn.ReLU(), nn.Dropout(0.1, rng=rng), nn.Linear(8, 3, rng=rng))

    def forward(self, ids):
        return self.layers(ops.mean(self.table(ids), axis=1))


def training(recorded):
    """(model, step): step() makes a step on new numbers and returns its loss as a number."""
    model, rng = Words(), np.random.default_rng(1)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    forward_backward = nnkit.record(lambda ids, classes: losses.cross_entropy(model(ids), classes))

    def step():
        ids, classes = rng.integers(0, 50, (6, 4)), rng.integers(0, 3, 6)
        optimizer.zero_grad()
        if recorded:
            loss = forward_backward(ids, classes)
        else:
            loss = losses.cross_entropy(model(ids), classes)
            loss.backward()
        optimizer.step()
        return float(loss)

    return model, step


@pytest.mark.case("autograd", 37)
@pytest.mark.case("autograd", 38)
@pytest.mark.parametrize("recorded", [False, True], ids=["dynamic", "recorded"])
def test_memory_is_flat_over_many_steps_without_the_cycle_collector(no_collector, recorded):
    _, step = training(recorded)
    for _ in range(20):
        step()
    tracemalloc.start()
    try:
        for _ in range(20):
            step()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(STEPS):
            step()
        in_cycles = gc.collect()  # this also empties Python's own lists of free tuples, which grow at first
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert in_cycles == 0 and grown < 5_000  # what is left behind at each of 300 steps is more


@pytest.mark.case("autograd", 39)
@pytest.mark.parametrize("recorded", [False, True], ids=["dynamic", "recorded"])
def test_trainings_in_four_threads_have_the_bits_of_one_alone(recorded):
    def run(results, k):
        model, step = training(recorded)
        values = [step() for _ in range(STEPS // 3)]
        results[k] = values, [p.value for p in model.parameters()]

    alone, together = {}, {}
    run(alone, 0)
    threads = [threading.Thread(target=run, args=(together, k)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        assert together[k][0] == alone[0][0]
        for one, other in zip(together[k][1], alone[0][1], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.case("autograd", 5)
@pytest.mark.parametrize("again", [False, True], ids=["once", "twice differentiated"])
def test_a_graph_of_many_nodes_is_walked_and_freed_without_recursion(no_collector, again):
    n = STEPS * 10 // (4 if again else 2)
    x = y = Tensor(np.array(1.0))
    for _ in range(n):
        y = y * 1.0 + y * 0.0  # two ways to every node: walked path by path it would never end
    node = weakref.ref(y)
    y.backward(create_graph=again)
    assert float(x.grad) == 1
    if again:
        x.grad = None
    del y
    assert node() is None
