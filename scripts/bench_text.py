"""One training step of the three text models, nnkit against the same model in PyTorch: examples a second and their ratios.

Usage: bench_text.py [--seconds 2.0] [--threads 1] [--only dan]

Models: the deep averaging network (a bag's mean, two hidden layers), the classifier of bags of words (tf-idf-like weights, one
hidden layer) and the feed-forward language model. nnkit's are those of recipes/, PyTorch's are written with EmbeddingBag and
Embedding, with sparse and with dense gradients. Both take the same batches, made beforehand: words by Zipf's law, lengths all the
same ("even") or from half to one and a half of it ("uneven"). SGD and Adagrad; PyTorch's Adagrad takes one kind of gradient for
all its parameters, so with sparse=True the table has an optimizer of its own. All steps run in turn in this one process, float32.
Above 1, nnkit is faster.
"""
import argparse

from bench_step import medians  # first: it puts OpenBLAS's variables out of the way before NumPy is loaded

import numpy as np  # isort: skip
import torch
from threadpoolctl import threadpool_limits

from nnkit import losses, nn, optim
from nnkit.autograd.rows import compiled_rows
from nnkit.data.bags import SparseBags
from nnkit.training.recipe import load_recipe, shipped_folder

N_BATCHES = 20  # that are gone through in turn


def recipe_names(name):
    """What a recipe's file defines."""
    recipe = load_recipe(shipped_folder("recipes") / f"{name}.py")
    return vars(__import__("sys").modules[recipe.__module__])


DAN, CLASSIFIER, LANGUAGE_MODEL = map(recipe_names, ("dan", "classifier", "language_model"))


# Batches


def zipf(rng, vocabulary, size):
    share = 1 / np.arange(1, vocabulary + 1)
    return rng.choice(vocabulary, size, p=share / share.sum()).astype(np.int32)


def bags(rng, batch, length, vocabulary, uneven, distinct):
    """ids, weights, offsets of a batch of texts; distinct: no word twice in a text."""
    lengths = rng.integers(length // 2, length * 3 // 2 + 1, batch) if uneven else np.full(batch, length)
    texts = [zipf(rng, vocabulary, n) for n in lengths]
    if distinct:
        texts = [np.unique(text) for text in texts]
    lengths = np.array([len(text) for text in texts])
    weights = [rng.uniform(1, 3, n) for n in lengths]
    weights = np.concatenate([w / np.sqrt((w * w).sum()) for w in weights]).astype(np.float32)
    return np.concatenate(texts), weights, np.cumsum(lengths) - lengths


# The models: each is (loss of nnkit given a batch, its parameters), and the same of PyTorch


def nnkit_dan(shape):
    rng = np.random.default_rng(0)
    table = nn.init.uniform((shape["vocabulary"], shape["dim"]), 0.1, rng)
    sizes = [*[shape["dim"]] * 3, shape["classes"]]
    layers = [layer for n, m in zip(sizes, sizes[1:]) for layer in (nn.Linear(n, m, rng=rng), nn.ReLU())][:-1]
    return DAN["AveragingNetwork"](nn.Embedding.from_pretrained(table, freeze=False), nn.Sequential(*layers), 0.0, rng)


class TorchBags(torch.nn.Module):
    def __init__(self, vocabulary, sizes, mode, sparse):
        super().__init__()
        self.table = torch.nn.EmbeddingBag(vocabulary, sizes[0], mode=mode, sparse=sparse)
        torch.nn.init.uniform_(self.table.weight, -0.1, 0.1)
        self.bias = torch.nn.Parameter(torch.zeros(sizes[0])) if mode == "sum" else None
        made = [layer for n, m in zip(sizes, sizes[1:]) for layer in (torch.nn.Linear(n, m), torch.nn.ReLU())][:-1]
        self.layers = torch.nn.Sequential(*([torch.nn.ReLU()] if mode == "sum" else []), *made)

    def forward(self, ids, weights, offsets):
        y = self.table(ids, offsets, per_sample_weights=weights)
        return self.layers(y if self.bias is None else y + self.bias)


class TorchLanguageModel(torch.nn.Module):
    def __init__(self, shape, sparse):
        super().__init__()
        self.table = torch.nn.Embedding(shape["vocabulary"], shape["dim"], sparse=sparse)
        self.hidden = torch.nn.Linear(shape["context"] * shape["dim"], shape["hidden"])
        self.output = torch.nn.Linear(shape["hidden"], shape["vocabulary"])

    def forward(self, contexts):
        return self.output(torch.tanh(self.hidden(self.table(contexts).flatten(1))))


def dan(shape, sparse, uneven):
    rng = np.random.default_rng(1)
    made = [bags(rng, shape["batch"], shape["length"], shape["vocabulary"], uneven, distinct=False) for _ in range(N_BATCHES)]
    classes = rng.integers(0, shape["classes"], (N_BATCHES, shape["batch"]))
    if sparse is None:
        model = nnkit_dan(shape).train()
        batches = [(DAN["Bags"](ids, offsets), y) for (ids, _, offsets), y in zip(made, classes)]
        return model, [lambda b=b: losses.cross_entropy(model(b[0]), b[1]) for b in batches]
    network = TorchBags(shape["vocabulary"], [*[shape["dim"]] * 3, shape["classes"]], "mean", sparse)
    return network, torch_losses(network, [((ids, None, offsets), y) for (ids, _, offsets), y in zip(made, classes)])


def classifier(shape, sparse, uneven):
    rng = np.random.default_rng(1)
    made = [bags(rng, shape["batch"], shape["length"], shape["vocabulary"], uneven, distinct=True) for _ in range(N_BATCHES)]
    classes = rng.integers(0, shape["classes"], (N_BATCHES, shape["batch"]))
    if sparse is None:
        rng = np.random.default_rng(0)
        model = CLASSIFIER["OnBags"](nn.Linear(shape["vocabulary"], shape["dim"], rng=rng), nn.ReLU(),
                                     nn.Linear(shape["dim"], shape["classes"], rng=rng))
        batches = [(SparseBags(*parts), y) for parts, y in zip(made, classes)]
        return model, [lambda b=b: losses.cross_entropy(model(b[0]), b[1]) for b in batches]
    network = TorchBags(shape["vocabulary"], [shape["dim"], shape["classes"]], "sum", sparse)
    return network, torch_losses(network, list(zip(made, classes)))


def language_model(shape, sparse, uneven):
    rng = np.random.default_rng(1)
    contexts = zipf(rng, shape["vocabulary"], (N_BATCHES, shape["batch"], shape["context"])).astype(np.int64)
    classes = zipf(rng, shape["vocabulary"], (N_BATCHES, shape["batch"])).astype(np.int64)
    if sparse is None:
        config = LANGUAGE_MODEL["Model"](context=shape["context"], dim=shape["dim"], hidden=shape["hidden"])
        model = LANGUAGE_MODEL["WindowModel"](shape["vocabulary"], shape["vocabulary"], config, np.random.default_rng(0))
        return model, [lambda x=x, y=y: model(x, y) for x, y in zip(contexts, classes)]
    network = TorchLanguageModel(shape, sparse)
    return network, torch_losses(network, [((x,), y) for x, y in zip(contexts, classes)])


def torch_losses(network, batches):
    criterion = torch.nn.CrossEntropyLoss()
    tensors = [([None if a is None else torch.from_numpy(a) if a.dtype.kind == "f" else torch.from_numpy(a.astype(np.int64))
                 for a in inputs], torch.from_numpy(y)) for inputs, y in batches]
    return [lambda b=b: criterion(network(*b[0]), b[1]) for b in tensors]


MODELS = {"dan": dan, "classifier": classifier, "language model": language_model}
SHAPES = [
    ("dan", {"batch": 64, "length": 230, "vocabulary": 50_000, "dim": 300, "classes": 2}),
    ("dan", {"batch": 32, "length": 20, "vocabulary": 16_000, "dim": 50, "classes": 5}),
    ("classifier", {"batch": 64, "length": 230, "vocabulary": 50_000, "dim": 100, "classes": 2}),
    ("classifier", {"batch": 32, "length": 20, "vocabulary": 16_000, "dim": 50, "classes": 5}),
    ("language model", {"batch": 64, "context": 5, "vocabulary": 10_000, "dim": 50, "hidden": 100}),
]


# Steps


def nnkit_step(model, of_batch, optimizer):
    step_of = {"SGD": optim.SGD, "Adagrad": optim.Adagrad}[optimizer](model.parameters(), lr=0.05)
    turn = iter(range(1 << 60))

    def step():
        loss = of_batch[next(turn) % N_BATCHES]()
        step_of.zero_grad()
        loss.backward()
        step_of.step()

    return step


def torch_step(network, of_batch, optimizer, sparse):
    kind = {"SGD": torch.optim.SGD, "Adagrad": torch.optim.Adagrad}[optimizer]
    table = [network.table.weight]
    others = [p for p in network.parameters() if p is not table[0]]
    steps = [kind(table, lr=0.05), kind(others, lr=0.05)] if sparse else [kind(network.parameters(), lr=0.05)]
    turn = iter(range(1 << 60))

    def step():
        loss = of_batch[next(turn) % N_BATCHES]()
        for one in steps:
            one.zero_grad()
        loss.backward()
        for one in steps:
            one.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each contestant and row of the table")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=list(MODELS), help="one of the models")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    compiled = "compiled (nnkit[fast])" if compiled_rows() is not None else "NumPy alone"
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, nnkit's rows: {compiled}, {a.threads} thread(s)")
    print("examples/s; in brackets nnkit's over PyTorch's")
    for model, shape in SHAPES:
        if a.only not in (None, model):
            continue
        print(f"\n{model}: " + ", ".join(f"{name} {value:,}" for name, value in shape.items()))
        for optimizer in ("SGD", "Adagrad"):
            for uneven in (False, True) if "length" in shape else (False,):
                with threadpool_limits(a.threads):
                    steps = {"nnkit": nnkit_step(*MODELS[model](shape, None, uneven), optimizer)}
                    for sparse in (True, False):
                        name = "torch sparse" if sparse else "torch dense"
                        steps[name] = torch_step(*MODELS[model](shape, sparse, uneven), optimizer, sparse)
                    us = medians(steps, a.seconds, at_once=3)
                rate = {name: shape["batch"] / t * 1e6 for name, t in us.items()}
                ours = rate.pop("nnkit")
                others = "   ".join(f"{name} {theirs:9,.0f} ({ours / theirs:5.2f})" for name, theirs in rate.items())
                what = f"{optimizer}{', uneven' if uneven else ', even' if 'length' in shape else ''}"
                print(f"    {what:16} nnkit {ours:9,.0f}   {others}   (nnkit {us['nnkit']:,.0f} us a step)", flush=True)


if __name__ == "__main__":
    main()
