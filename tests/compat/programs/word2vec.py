# ruff: noqa: NPY002
"""Homework: skip-gram with negative sampling. Usage: word2vec.py [--epochs N] [--dim N]"""

import argparse
from collections import Counter

import edugrad
import edugrad.nn as nn
import numpy as np
from edugrad import ops, optim
from edugrad.tensor import Operation, Tensor, tensor_op

TEXT = """the quick brown fox jumps over the lazy dog and the slow brown cow walks under the old bridge
the lazy dog sleeps near the old bridge while the quick fox runs over the green hill
a green hill and an old bridge are all that the brown cow and the lazy dog can see"""


@tensor_op
class log(Operation):
    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.log(x)

    @staticmethod
    def backward(ctx, grad_output):
        return [grad_output / ctx[0]]


@tensor_op
class sigmoid(Operation):
    @staticmethod
    def forward(ctx, x):
        y = 1 / (1 + np.exp(-x))
        ctx.append(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        y = ctx[0]
        return [grad_output * y * (1 - y)]


@tensor_op
class multiply(Operation):
    @staticmethod
    def forward(ctx, a, b):
        ctx.extend([a, b])
        return a * b

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx
        return [b * grad_output, a * grad_output]


@tensor_op
class sum_along_columns(Operation):
    @staticmethod
    def forward(ctx, x):
        ctx.append(x)
        return np.sum(x, axis=1)

    @staticmethod
    def backward(ctx, grad_output):
        return [np.ones_like(ctx[0]) * grad_output[:, np.newaxis]]


@tensor_op
class lookup_rows(Operation):
    @staticmethod
    def forward(ctx, matrix, indices):
        ctx.append(matrix)
        ctx.append(indices)
        return matrix[indices]

    @staticmethod
    def backward(ctx, grad_output):
        matrix, indices = ctx
        grad = np.zeros_like(matrix)
        np.add.at(grad, indices, grad_output)
        return [grad, np.zeros(indices.shape)]


class SGNS(nn.Module):
    def __init__(self, num_words, dim):
        super().__init__()
        self.words = Tensor(np.random.uniform(-0.5, 0.5, (num_words, dim)), name="words")
        self.contexts = Tensor(np.random.uniform(-0.5, 0.5, (num_words, dim)), name="contexts")

    def forward(self, words, contexts):
        w = lookup_rows(self.words, words)
        c = lookup_rows(self.contexts, contexts)
        return sigmoid(sum_along_columns(multiply(w, c)))


def binary_cross_entropy(probs, labels):
    ones = Tensor(np.ones(labels.value.shape))
    positive = multiply(labels, log(probs))
    negative = multiply(ones - labels, log(ones - probs))
    return Tensor(np.array(0.0)) - ops.reduce_mean(positive + negative)


def make_examples(tokens, window, num_negatives, probs):
    """(word, context, 1) for each pair in a window, and num_negatives of (word, other, 0)."""
    examples = []
    for i, word in enumerate(tokens):
        for j in range(max(0, i - window), min(len(tokens), i + window + 1)):
            if i != j:
                examples.append((word, tokens[j], 1))
                for other in np.random.choice(len(probs), size=num_negatives, p=probs):
                    examples.append((word, other, 0))
    return np.array(examples)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--dim", type=int, default=8)
    parser.add_argument("--seed", type=int, default=575)
    args = parser.parse_args()
    np.random.seed(args.seed)

    counts = Counter(TEXT.split())
    vocab = {word: i for i, (word, _) in enumerate(counts.most_common())}
    probs = np.array([counts[word] for word in vocab]) ** 0.75
    examples = make_examples([vocab[word] for word in TEXT.split()], 2, 3, probs / probs.sum())
    print("words", len(vocab), "examples", len(examples))

    model = SGNS(len(vocab), args.dim)
    optimizer = optim.SGD(model.parameters(), lr=2.0)
    batches = edugrad.data.BatchIterator(batch_size=25)
    for epoch in range(args.epochs):
        total, n = 0.0, 0
        for batch in batches(examples[:, :2], examples[:, 2]):
            probs = model(Tensor(batch.inputs.value[:, 0]), Tensor(batch.inputs.value[:, 1]))
            loss = binary_cross_entropy(probs, batch.targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.value
            n += 1
        print(f"epoch {epoch} loss {total / n:.14f} grad {np.abs(model.words.grad).sum():.14f} "
              f"labels {np.abs(batch.targets.grad).sum():.14f}")

    vectors = model.words.value / np.linalg.norm(model.words.value, axis=1, keepdims=True)
    for word in ("fox", "bridge", "lazy"):
        similar = vectors @ vectors[vocab[word]]
        best = np.argsort(-similar)[1:4]
        inverse = list(vocab)
        print(word, *(f"{inverse[i]} {similar[i]:.12f}" for i in best))
