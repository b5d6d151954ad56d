# ruff: noqa: NPY002
"""Homework: a deep averaging network for sentiment, trained with Adagrad and an L2 penalty."""

import edugrad
import numpy as np
from course_ops import log, lookup_rows, multiply, scale, softmax_rows, sum_along_columns
from edugrad import nn, ops
from edugrad.data import BatchIterator
from edugrad.tensor import Operation, Tensor, tensor_op

REVIEWS = [
    ("a warm and funny film", 2), ("dull from start to end", 0), ("not bad but not good", 1),
    ("funny and moving and warm", 2), ("a bad film with a dull end", 0), ("good in parts and dull in parts", 1),
    ("the best film of the year", 2), ("the worst end of a bad year", 0), ("it is a film with a start and an end", 1),
    ("moving from start to end", 2), ("neither warm nor funny", 0), ("neither the best nor the worst", 1),
]


@tensor_op
class average_in_groups(Operation):
    """Rows [k * n, m] -> [n, m] for groups of k rows, of which lengths[i] are words and the others padding."""

    @staticmethod
    def forward(ctx, rows, mask):
        lengths = mask.sum(axis=1, keepdims=True)
        weights = mask / lengths
        grouped = rows.reshape(mask.shape[0], mask.shape[1], -1)
        ctx.append(grouped)
        ctx.append(weights)
        return (grouped * weights[:, :, None]).sum(axis=1)

    @staticmethod
    def backward(ctx, grad_output):
        grouped, weights = ctx
        grad = grad_output[:, None, :] * weights[:, :, None]
        return (grad.reshape(-1, grouped.shape[2]), np.zeros(weights.shape))


class Adagrad(edugrad.optim.Optimizer):
    def __init__(self, params, lr=0.05, eps=1e-8):
        super().__init__(params)
        self.lr = lr
        self.eps = eps
        for param in self.params:
            param._grad_hist = np.zeros(param.value.shape)

    def step(self):
        for param in self.params:
            param._grad_hist += param.grad ** 2
            param.value -= self.lr * param.grad / (np.sqrt(param._grad_hist) + self.eps)
        self._cur_step += 1


class DAN(nn.Module):
    def __init__(self, num_words, dim, hidden, classes):
        super().__init__()
        self.embeddings = Tensor(nn.uniform_initializer((num_words, dim), scale=0.5))
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, classes, bias=False)

    def forward(self, words, mask):
        x = average_in_groups(lookup_rows(self.embeddings, words), mask)
        x = ops.relu(self.fc1(x))
        x = ops.relu(self.fc2(x))
        return softmax_rows(self.output(x))


def cross_entropy(probs, one_hot):
    return scale(ops.reduce_mean(sum_along_columns(multiply(log(probs), one_hot))), by=-1)


if __name__ == "__main__":
    np.random.seed(7)
    vocab = {"<pad>": 0}
    for text, _ in REVIEWS:
        for word in text.split():
            vocab.setdefault(word, len(vocab))
    length = max(len(text.split()) for text, _ in REVIEWS)
    inputs = np.zeros((len(REVIEWS), length), dtype=int)
    for i, (text, _) in enumerate(REVIEWS):
        for j, word in enumerate(text.split()):
            inputs[i, j] = vocab[word]
    labels = np.eye(3)[[label for _, label in REVIEWS]]

    model = DAN(len(vocab), 6, 8, 3)
    # a hand-made start for two of the layers
    model.fc2.weight = Tensor(np.linspace(-0.4, 0.6, 64).reshape(8, 8), name="W")
    model.fc1.bias.value = np.full(8, 0.1)
    optimizer = Adagrad(model.parameters(), lr=0.1)
    batches = BatchIterator(5)

    for epoch in range(12):
        losses = []
        for batch in batches(inputs, labels):
            words = Tensor(batch.inputs.value.flatten())
            probs = model(words, Tensor((batch.inputs.value > 0).astype(float)))
            loss = cross_entropy(probs, batch.targets)
            l2 = ops.reduce_sum(model.embeddings ** 2)
            for layer in (model.fc1, model.fc2, model.output):
                l2 += ops.reduce_sum(layer.weight ** 2)
            loss += scale(l2, by=1e-3)
            model.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.value)
        print("epoch", epoch, "loss", f"{np.mean(losses):.14f}", "probs", f"{np.abs(probs.grad).sum():.12f}")

    probs = model(Tensor(inputs.flatten()), Tensor((inputs > 0) * 1.0)).value
    print("accuracy", (probs.argmax(axis=1) == labels.argmax(axis=1)).mean())
    for param in model.parameters():
        print(param.name, param.value.shape, f"{param.value.sum():.12f} {param._grad_hist.sum():.12f}")
