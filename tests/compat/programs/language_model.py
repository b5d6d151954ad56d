# ruff: noqa: NPY002
"""Homework: a feed-forward character language model (Bengio et al., 2003). Usage: language_model.py EPOCHS"""

import sys

import numpy as np
from course_ops import concat, exp, log, lookup_rows, multiply, softmax_rows, sum_along_columns
from edugrad import Tensor, data, nn, ops, optim

TEXT = """it was many and many a year ago in a kingdom by the sea
that a maiden there lived whom you may know by the name of annabel lee"""


class CharacterLM(nn.Module):
    def __init__(self, num_chars, window, dim, hidden):
        super().__init__()
        self.window = window
        self.chars = Tensor(np.random.randn(num_chars, dim) * 0.3, name="chars")
        self.hidden = nn.Linear(window * dim, hidden)
        self.output = nn.Linear(hidden, num_chars)
        self.direct = nn.Linear(window * dim, num_chars, bias=False)

    def forward(self, contexts):
        """contexts: [n, window] characters"""
        looked_up = [lookup_rows(self.chars, Tensor(contexts[:, i])) for i in range(self.window)]
        x = concat(*looked_up)
        h = tanh(self.hidden(x))
        return softmax_rows(self.output(h) + self.direct(x))


def tanh(x):
    """(e^2x - 1) / (e^2x + 1), out of the operations there are: 1 - 2 (e^2x + 1)^-1"""
    ones = Tensor(np.ones_like(x.value))
    e = exp(x + x)
    half = (e + ones) ** -1
    return ones - (half + half)


def loss_of(model, batch):
    one_hot = np.zeros((len(batch.targets.value), len(model.chars.value)))
    one_hot[np.arange(len(one_hot)), batch.targets.value] = 1
    probs = model(batch.inputs.value)
    picked = sum_along_columns(multiply(probs, Tensor(one_hot)))
    return Tensor(np.array(0.0)) - ops.reduce_mean(log(picked)), probs


if __name__ == "__main__":
    epochs = int(sys.argv[1])
    np.random.seed(2003)
    chars = sorted(set(TEXT))
    ids = np.array([chars.index(c) for c in TEXT])
    window = 4
    inputs = np.stack([ids[i:len(ids) - window + i] for i in range(window)], axis=1)
    targets = ids[window:]

    model = CharacterLM(len(chars), window, 5, 16)
    print([p.value.shape for p in model.parameters()])
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    for epoch in range(epochs):
        log_probs = 0
        for batch in data.BatchIterator(batch_size=16, shuffle=True)(inputs, targets):
            loss, probs = loss_of(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log_probs += loss.value * len(batch.targets.value)
        print(f"epoch {epoch} perplexity {np.exp(log_probs / len(targets)):.12f} grads "
              f"{model.chars.grad.min():.14f} {model.direct.weight.grad.max():.14f} {np.abs(probs.grad).max():.10f}")
    print("steps", optimizer._cur_step, "operations", len({child for _, child in loss.get_graph_above()}))

    text = "it w"
    for _ in range(30):
        context = np.array([[chars.index(c) for c in text[-window:]]])
        probs = model(context).value[0]
        text += chars[np.random.choice(len(chars), p=probs)]
    print(repr(text))
