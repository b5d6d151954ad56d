"""What a report tells of one run beside its numbers: a map of its words, what it takes for what, what it writes.

A run may be unfinished, or its data gone. What cannot be shown is left out with the reason, and the rest is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nnkit.errors import UserError
from nnkit.metrics import Tally
from nnkit.training import config as configs
from nnkit.training.making import recipe_file
from nnkit.training.recipe import Recipe, load_recipe
from nnkit.training.run_directory import RunDirectory
from nnkit.training.using import TrainedRun, load
from nnkit.training.word_recipe import WordVectorRecipe
from nnkit.vectors import WordVectors
from nnkit.vectors.maps import project

SEARCHED = 50_000             # words that neighbours are looked for among: a second of work
NEIGHBOURS = 10
TEMPERATURES = (0.0, 0.7, 1.0)


@dataclass
class WordMap:
    """The most frequent words: their places, and the nearest words of each with their cosines. total: how many there are."""

    words: list[str]
    x: list[float]
    y: list[float]
    near: list[list[tuple[str, float]]]
    total: int


@dataclass
class Parts:
    """What there is of one run. report: the recipe's own lines. samples: (temperature, text). left_out: what is not, and why."""

    map: WordMap | None = None
    tally: Tally | None = None
    report: list[str] = field(default_factory=list)
    samples: list[tuple[float, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @contextmanager
    def unless_it_fails(self, what: str) -> Iterator[None]:
        """One part must not cost the page, whatever is wrong with it: a run holds files and code that may be anybody's."""
        try:
            yield
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self.left_out.append(f"{what}: {' '.join(reason.split())}")


def parts_of(directory: RunDirectory, words: int) -> Parts:
    """All that this run has to show. It runs the recipe in the run's folder, and measures again on the held-out data.

    words: so many of the most frequent ones are on the map of word vectors.
    """
    parts = Parts()
    vectors = directory.path("vectors.vec")
    if vectors.is_file():
        with parts.unless_it_fails("no map of words"):
            parts.map = word_map(WordVectors.load(vectors), words)
    with parts.unless_it_fails("its model is not shown"):
        recipe_class = load_recipe(recipe_file(configs.read_tree(directory.path("config.yaml"))))
        if not issubclass(recipe_class, WordVectorRecipe):
            ask(load(directory), parts)
        elif not vectors.is_file():
            parts.left_out.append("no map of words: there is no vectors.vec, which is written at the end of a run")
    return parts


def ask(trained: TrainedRun, parts: Parts) -> None:
    """Let the model write, which needs the run's folder alone, and measure it, which needs the data of the training."""
    if trained.recipe_class.generate is not Recipe.generate:
        with parts.unless_it_fails("no samples"):
            parts.samples = [(heat, text) for heat in TEMPERATURES
                             for text in trained.generate(n=3 if heat else 1, temperature=heat)]
    with parts.unless_it_fails("nothing is measured on held-out data"):
        parts.report = trained.report()
        parts.tally = trained.tally


def word_map(vectors: WordVectors, most: int) -> WordMap:
    """The first words of the file, in which they stand by their frequency."""
    words = vectors.words[:most]
    if len(words) < 3:
        raise UserError(f"a map needs 3 words, and there are {len(words)}")
    searched = WordVectors(vectors.words[:SEARCHED], vectors.matrix[:SEARCHED])
    near = [[(word, round(cosine, 3)) for word, cosine in found] for found in searched.most_similar_many(words, NEIGHBOURS)]
    x, y = project(vectors.matrix[:len(words)]).round(4).T.tolist()
    return WordMap(words, x, y, near, len(vectors))
