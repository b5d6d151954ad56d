"""Draw the lecture's examples, with nnkit's own numbers in them: docs/pictures/*.svg.

    python scripts/draw_examples.py [FOLDER]

tests/show/test_examples.py fails where a picture in docs/pictures is not what this would draw now.
"""

import argparse
from pathlib import Path

import numpy as np

import nnkit
from nnkit import Tensor, losses, nn, ops
from nnkit.show.graph import Box, Graph, Link, Node
from nnkit.show.scene import draw_scene
from nnkit.show.svg import svg_text

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"


def square(path: Path) -> None:
    """(a x + b)²"""
    a, x, b = Tensor(2.0, name="a"), Tensor(3.0, name="x"), Tensor(1.0, name="b")
    nnkit.draw((a * x + b) ** 2, path, title="(a x + b)²")


def two_paths(path: Path) -> None:
    """x² · 3x: x is used twice, and the gradients of both paths are added."""
    x = Tensor(2.0, name="x")
    nnkit.draw(x ** 2 * (3 * x), path, title="x² · 3x")


def sgns(path: Path) -> None:
    """-log σ(W_w · C_c), a word and a true context: only the rows that were looked up receive a gradient."""
    W = Tensor(np.array([[0.1, 0.4, -0.2], [0.5, -0.3, 0.2], [-0.1, 0.2, 0.6]], np.float32), name="W")
    C = Tensor(np.array([[0.3, 0.1, 0.0], [-0.2, 0.4, 0.1], [0.6, -0.5, 0.3]], np.float32), name="C")
    W_w, C_c = ops.embedding(W, np.array(1)), ops.embedding(C, np.array(2))
    W_w.name, C_c.name = "W_w", "C_c"
    probability = ops.sigmoid(ops.dot(W_w, C_c))
    probability.name = "p"
    nnkit.draw(-ops.log(probability), path, title="-log σ(W_w · C_c)")


def hidden_layer(path: Path) -> None:
    """h = f(x W + b), with a gradient that comes from the layers behind it."""
    x = Tensor(np.array([[1.0, 2.0, -1.0]], np.float32), name="x", requires_grad=False)
    W = Tensor(np.array([[0.5, -1.0], [0.25, 0.5], [1.0, 0.5]], np.float32), name="W")
    b = Tensor(np.array([0.5, 0.25], np.float32), name="b")
    h = ops.tanh(x @ W + b)
    h.name = "h"
    nnkit.draw(h, path, grad=np.array([[1.0, -0.5]]), title="h = f(x W + b)")


def training_step(path: Path) -> None:
    """model → loss → backward → update, with the numbers of one step."""
    lr = 0.1
    model = nn.Linear(2, 1, bias=False, rng=0)
    weight = model.weight.value
    weight[...] = [[0.5], [-0.5]]
    x, y = np.array([[1.0, 2.0]], np.float32), np.array([[1.0]], np.float32)
    predicted = model(x)
    loss = losses.mean_squared_error(predicted, y)
    loss.backward()
    gradient = model.weight.grad
    whole = Box()
    graph = Graph([], {}, [], whole)

    def node(kind: str, title: str, value: np.ndarray, *sources: Node) -> Node:
        made = Node(f"n{len(graph.nodes)}", kind, title, value, whole)
        made.inputs = [Link(source, made, place) for place, source in enumerate(sources)]
        graph.nodes.append(made)
        whole.parts.append(made)
        return made

    parameters = node("parameter", "model.weight", weight)
    model_of = node("operation", "model(x)", predicted.value, node("constant", "batch x", x), parameters)
    lost = node("operation", "loss(predicted, y)", loss.value, model_of, node("constant", "batch y", y))
    backward = node("operation", "loss.backward(): weight.grad", gradient, lost)
    update = node("result", "update: weight - lr * weight.grad", weight - lr * gradient, backward, parameters)
    graph.results = [update]
    graph.remarks.append(f"lr = {lr}; the next step begins with the updated weight")
    path.write_text(svg_text(draw_scene(graph), "model → loss → backward → update"), encoding="utf-8", newline="\n")


EXAMPLES = {"square": square, "two-paths": two_paths, "sgns": sgns, "hidden-layer": hidden_layer, "training-step": training_step}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=PICTURES)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, example in EXAMPLES.items():
        example(folder / f"{name}.svg")
        print(folder / f"{name}.svg")


if __name__ == "__main__":
    main()
