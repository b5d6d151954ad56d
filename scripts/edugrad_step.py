"""One training step on edugrad, for bench_step.py, which starts this with an interpreter that has edugrad.

Usage: edugrad_step.py BATCH INPUTS HIDDEN CLASSES SECONDS; prints the median microseconds of a step.
"""
import statistics
import sys
import time

import numpy as np
from edugrad import Tensor, nn, ops, optim


class Network(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.second(ops.relu(self.first(x)))


def main():
    batch, inputs, hidden, classes = map(int, sys.argv[1:5])
    rng = np.random.default_rng(0)
    x, y = rng.random((batch, inputs)), np.eye(classes)[rng.integers(0, classes, batch)]
    model = Network(inputs, hidden, classes)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    times, until = [], time.perf_counter() + float(sys.argv[5])
    while time.perf_counter() < until or len(times) < 8:
        began = time.perf_counter()
        loss = ops.mse_loss(model(Tensor(x)), Tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    print(statistics.median(times[3:]) * 1e6)


if __name__ == "__main__":
    main()
