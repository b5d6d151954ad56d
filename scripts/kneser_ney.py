"""A Kneser-Ney n-gram model beside a run of the language model recipe: same symbols, same order, same tokens.

Usage: kneser_ney.py RUN [--order N] [--test]

Printed is the perplexity of the n-gram model alone, of the run's model alone, and of λ p_neural + (1 - λ) p_n-gram, on the part
that the run held out as data.dev; λ is the best one there. --test: on data.test, too, with the λ of dev; the order is the
run's model.context + 1 unless another is given. The data of the training must still be there.
"""
import argparse

import numpy as np

import nnkit
from nnkit import losses, no_grad
from nnkit.data.symbols import Contexts


class KneserNey:
    """Interpolated modified Kneser-Ney smoothing (Chen & Goodman, 1999), all orders as arrays.

    contexts: (n, order - 1) symbols, the nearest last; classes: (n,) what comes after them, integers in 0..n_classes-1. start:
    a symbol of contexts that nothing stands before, or None. With c counts of h w, the symbol w after the context h,

        p(w | h) = (max(c(h w) - D(c), 0) + γ(h) p(w | h without its first symbol)) / c(h ·)

    where γ(h) is what the discounts D took from c(h ·), and 1 / n_classes stands below the empty context. D is D1, D2 or D3 for
    c = 1, 2, and 3 or more. The longest order counts what was seen; a shorter one in how many different symbols stood before
    h w (for h that begins with `start` nothing else can: there it is what was seen, too).
    """

    def __init__(self, contexts: np.ndarray, classes: np.ndarray, n_classes: int, start: int | None = None):
        self.n_classes = n_classes
        self.width = n_classes + 1                # a context's number times this, plus a symbol, is the key of what is one longer
        self.known: list[np.ndarray] = []         # for each length, the keys of its contexts, whose places are their numbers
        tables = []
        number = np.zeros(len(classes), np.int64)                          # of the context of each symbol
        for length in range(contexts.shape[1] + 1):
            if length:
                known, number = np.unique(number * self.width + contexts[:, -length], return_inverse=True)
                self.known.append(known)
            tables.append(np.unique(number * self.width + classes, return_index=True, return_inverse=True, return_counts=True))
        self.orders = []
        for length, (keys, first, gram, seen) in enumerate(tables):
            counts = seen
            if length + 1 < len(tables):
                longer = tables[length + 1][1]    # where each different n-gram that is one longer stands first
                counts = np.bincount(gram[longer], minlength=len(keys))
                if length and start is not None:
                    counts = np.where(contexts[first, -length] == start, seen, counts)
            self.orders.append(Order(keys, counts, keys // self.width, len(self.known[length - 1]) if length else 1))

    def probabilities(self, contexts: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """(n,) float64: p(class | context)."""
        p = np.full(len(classes), 1 / self.n_classes)
        number = np.zeros(len(classes), np.int64)
        for length, order in enumerate(self.orders):
            if length:
                number = found(self.known[length - 1], np.where(number < 0, -1, number * self.width + contexts[:, -length]))
            there = number >= 0                   # of a context that was never seen, shorter ones decide
            gram = found(order.keys, number[there] * self.width + classes[there])
            kept = np.where(gram >= 0, order.kept[gram], 0.0)
            p[there] = kept + order.left[number[there]] * p[there]
        return p


class Order:
    """One order's discounted shares. keys: of the n-grams; counts: theirs; context: the number of each one's context."""

    def __init__(self, keys: np.ndarray, counts: np.ndarray, context: np.ndarray, n_contexts: int):
        self.keys = keys
        total = np.bincount(context, counts, n_contexts)
        taken = discounts(counts)[np.minimum(counts, 3)]
        self.kept = (counts - taken) / total[context]                     # (n-grams,)
        self.left = np.bincount(context, taken, n_contexts) / total       # (contexts,): γ(h) / c(h ·)


def discounts(counts: np.ndarray) -> np.ndarray:
    """[0, D1, D2, D3], by how many n-grams have a count of 1, 2, 3 and 4; where a text is too small to tell, 0.5, 1, 1.5."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == n)) for n in (1, 2, 3, 4))
    usual = np.array([0, 0.5, 1.0, 1.5])
    if not (n1 and n2 and n3 and n4):
        return usual
    y = n1 / (n1 + 2 * n2)
    estimated = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return np.where((estimated > 0) & (estimated < [1, 1, 2, 3]), estimated, usual)


def found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The places of `wanted` in the rising `keys`, -1 for what is not there."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def best_share(p: np.ndarray, q: np.ndarray) -> float:
    """The λ in 0..1 for which λ p + (1 - λ) q makes a text most probable: the likelihood has one top, which is bisected for."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if np.mean((p - q) / (middle * p + (1 - middle) * q)) > 0:
            low = middle
        else:
            high = middle
    return low


def neural(recipe, model, part) -> np.ndarray:
    """(n,) float64: the model's probability of each symbol of a part."""
    p = []
    with no_grad():
        for first in range(0, len(part), 256):
            contexts, classes = part.contexts.of(slice(first, first + 256))
            p.append(losses.cross_entropy(model(contexts), classes, reduction="none").value.astype(np.float64))
    return np.exp(-np.concatenate(p))


def perplexity(p: np.ndarray) -> float:
    return float(np.exp(-np.log(p).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--order", type=int, help="symbols in an n-gram (model.context + 1)")
    parser.add_argument("--test", action="store_true", help="look at data.test, too")
    a = parser.parse_args()
    run = nnkit.load(a.run)
    recipe = run.recipe_class(run.config)
    start = None if run.config.data.running else recipe.symbols.start
    order = a.order or run.config.model.context + 1
    parts = {"dev": recipe.dev} | ({"test": recipe.test} if a.test else {})

    def contexts_of(part):
        contexts, classes = Contexts(part.classes, order - 1, start).of(slice(None))
        return contexts.astype(np.int64), classes.astype(np.int64)

    ngrams = KneserNey(*contexts_of(recipe.train), recipe.symbols.n_classes, start)
    share = None
    print(f"{len(recipe.train):,} symbols to train on, {recipe.symbols.n_classes:,} classes, order {order}")
    for name, part in parts.items():
        p, q = neural(recipe, run.model, part), ngrams.probabilities(*contexts_of(part))
        share = best_share(p, q) if share is None else share
        alone, both = perplexity(q), perplexity(share * p + (1 - share) * q)
        print(f"{name} perplexity over {len(part):,} symbols, {part.unknown:.2%} of them unknown (one class)")
        print(f"    Kneser-Ney    {alone:8.2f}")
        for what, value in (("neural", perplexity(p)), (f"both, {share:.2f}", both)):
            print(f"    {what:13} {value:8.2f}   {value / alone - 1:+.1%}")


if __name__ == "__main__":
    main()
