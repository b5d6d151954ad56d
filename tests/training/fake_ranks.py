"""Ranks in threads of one process: the arithmetic of several, without MPI and without the second that each takes to start."""

import threading
from types import SimpleNamespace

import numpy as np

from nnkit.autograd import default_dtype
from nnkit.training.config import read_tree, validate
from nnkit.training.console import Console
from nnkit.training.making import make_optimizer, make_schedules, recipe_file
from nnkit.training.ranks import Ranks
from nnkit.training.recipe import load_recipe
from nnkit.training.run_directory import RunDirectory
from nnkit.training.text_ranks import trainer_of_ranks


class ThreadRanks(Ranks):
    """What MPI does, by a board that all of them see and a barrier before and after they look at it."""

    def __init__(self, rank, size, board, barrier):
        self.rank, self.size, self._board, self._barrier = rank, size, board, barrier
        self.turn = min(rank, 2)

    def gather(self, value):
        self._board[self.rank] = value
        self._barrier.wait(60)
        values = list(self._board)
        self._barrier.wait(60)
        return values

    def wait(self):
        self._barrier.wait(60)

    def table(self, numbers):
        return np.array(self.gather(list(numbers)), np.float64)

    def add(self, array):
        assert array.flags.c_contiguous
        array[...] = sum(self.gather(array.copy()))

    def stack(self, rows, lengths):
        of_all = self.gather(rows.copy())
        assert [len(one) for one in of_all] == lengths
        return np.concatenate(of_all)

    def broadcast(self, arrays):
        for array in arrays:
            array[...] = self.gather(array.copy())[0]


def run_ranks(size, function):
    """[function(ranks) of each rank], all at once. The first error of one that did not just wait for another is raised here."""
    board, barrier = [None] * size, threading.Barrier(size)
    results, errors = [None] * size, []

    def run(rank):
        try:
            results[rank] = function(ThreadRanks(rank, size, board, barrier) if size > 1 else Ranks())
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    return results


def train(config, overrides, size, dtype=np.float64, prepare=lambda recipe, ranks: None):
    """(rows, state_dict of each rank) of a training by `size` ranks, in float64, of which nothing is written."""
    tree = read_tree(config, overrides)
    recipe_class = load_recipe(recipe_file(tree))
    settings = validate(tree, recipe_class.Config)

    def run(ranks):
        with default_dtype(dtype):
            recipe, rows = recipe_class(settings), []
            prepare(recipe, ranks)
            model = recipe.build(np.random.default_rng([settings.seed, 0]))
            kind = trainer_of_ranks(settings, ranks)
            trainer = kind(recipe, model, make_optimizer(settings, model), make_schedules(settings), settings,
                           RunDirectory("nowhere"), Console(quiet=True), rows.append, None, ranks)
            trainer.check_parts()
            trainer.begin_together(resumed=False)
            trainer.train(None, SimpleNamespace(signal=None))
            return rows, {name: value.copy() for name, value in model.state_dict().items()}

    ran = run_ranks(size, run)
    return ran[0][0], [state for _, state in ran]
