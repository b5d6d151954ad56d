"""python -m nnkit.training.worker RUN INDEX WORKERS MEMORY TRAINER: one of several processes that train one model together.

Started by the trainer (workers.py), never by hand: MEMORY is an open file that it inherits, TRAINER a process id. It loads the
run's own recipe, takes its part of the data, and runs the loop on tables that all of them share, without a lock: two that add to
one row at the same moment may lose an addition (Recht et al., 2011, "Hogwild"), which word vectors do not notice.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np
from threadpoolctl import threadpool_limits

from nnkit.errors import UserError
from nnkit.nn import Module
from nnkit.training import config as configs
from nnkit.training.first_step import naming_layers
from nnkit.training.making import make_optimizer, make_schedules, recipe_file
from nnkit.training.recipe import Recipe, load_recipe
from nnkit.training.run_directory import RunDirectory
from nnkit.training.schema import RunConfig
from nnkit.training.shared import DIVERGED, READY, RUN, STOP, SharedModel

NAP = 0.001  # seconds between two looks at the board


class Stopped(Exception):
    """The trainer wants no more, or is gone."""


class Worker:
    """The training loop of one process."""

    def __init__(self, recipe: Recipe, model: Module, settings: RunConfig, shared: SharedModel, me: int, workers: int,
                 trainer: int):
        self.recipe, self.model, self.settings = recipe, model.train(), settings
        self.optimizer = make_optimizer(settings, model)
        self.schedules = make_schedules(settings)
        self.board, self.me, self.trainer = shared.board, me, trainer
        self.units_in_all = recipe.units_per_epoch * settings.training.epochs  # of all workers
        recipe.take_part(me, workers)

    def train(self) -> None:
        """Epoch by epoch, each of them when the board allows it."""
        board, me, recipe, model, optimizer = self.board, self.me, self.recipe, self.model, self.optimizer
        every = self.settings.log.loss_every
        while True:
            epoch = int(board.epoch[me])
            self.wait(lambda: board.epochs > board.epoch[me] and board.order == RUN)
            rng = np.random.default_rng([self.settings.seed, 1, epoch, me])
            for batch in recipe.batches(epoch, rng, int(board.step[me])):
                optimizer.set(**self.schedules.at(self.progress(), 0))  # none of them counts steps
                loss = recipe.loss(model, batch)    # model → loss
                if board.steps[me] % every == 0:
                    self.count(float(loss), batch)
                optimizer.zero_grad()
                loss.backward()                     # backward
                optimizer.step()                    # update
                board.units[me] += batch.units
                board.step[me] += 1
                board.steps[me] += 1
                if board.order != RUN or self.is_alone():
                    self.wait(lambda: board.order == RUN)
            board.step[me] = 0
            board.epoch[me] = epoch + 1

    def progress(self) -> float:
        """The share of the training that all workers together have done."""
        return min(1.0, float(self.board.units.sum()) / self.units_in_all)

    def count(self, loss: float, batch: Any) -> None:
        if not np.isfinite(loss):
            self.board.state[self.me] = DIVERGED
            raise Stopped
        self.board.loss[self.me] += loss if self.recipe.loss_is_sum else loss * batch.count
        self.board.count[self.me] += batch.count

    def wait(self, until: Callable[[], bool]) -> None:
        """Stand still, and say so; Stopped where the trainer stops the training or has ended."""
        board, me = self.board, self.me
        while True:
            number = board.number  # before the order itself, see there
            if board.order == STOP or self.is_alone():
                raise Stopped
            if until():
                return
            board.obeyed[me] = number
            board.state[me] = READY
            time.sleep(NAP)

    def is_alone(self) -> bool:
        """Whether the trainer has ended without a word, as by kill -9: another process is then the parent."""
        return os.getppid() != self.trainer


@contextmanager
def in_turn(file: IO[bytes]) -> Iterator[None]:
    """One worker at a time, where the file system has locks. Nobody waits for one that was killed."""
    import fcntl  # here, for this file can be imported on Windows, too

    with suppress(OSError):
        fcntl.lockf(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_UN)


def main(argv: list[str]) -> int:
    run, me, workers, memory, trainer = RunDirectory.open(argv[0]), *map(int, argv[1:])
    try:
        tree = configs.read_tree(run.path("config.yaml"), [])
        recipe_class = load_recipe(recipe_file(tree))
        settings = configs.validate(tree, recipe_class.Config)
        with threadpool_limits(settings.training.blas_threads, user_api="blas"), np.errstate(all="ignore"):
            recipe = recipe_class(settings)
            with open(memory, "r+b") as file, in_turn(file):  # until it is attached, a model has memory of its own
                model = recipe.build(np.random.default_rng([settings.seed, 0]))
                shared = SharedModel(file, model, workers)
                shared.attach()
            with naming_layers(model):
                Worker(recipe, model, settings, shared, me, workers, trainer).train()
    except Stopped:
        return 0
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
