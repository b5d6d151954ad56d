"""training.workers: N. Several processes train one model in shared memory; this is the one that starts and watches them.

They are new processes, not copies of this one, and get nothing but the run's folder: so it works in a notebook and in a script
without `if __name__ == "__main__"`. Each has its part of the data, and an epoch ends when all have ended it. Logging goes on
beside them; evaluating and saving wait until every one of them stands still. What they add to one row depends on who comes first,
so that two runs differ in the last digits; one worker is exact.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from nnkit.errors import ConfigError, Diverged, UserError
from nnkit.training.loop import Trainer
from nnkit.training.metrics import MetricsLog
from nnkit.training.shared import DIVERGED, PAUSE, RUN, STARTING, STOP, Board, SharedModel
from nnkit.training.signals import SIGNALS, StopRequest

NAP = 0.01  # seconds between two looks at the workers
PATIENCE = 10.0  # seconds for a worker to end after it was told to

Processes = list[tuple[subprocess.Popen, IO[bytes]]]  # with what each of them said


class WorkersTrainer(Trainer):
    """The trainer whose steps other processes do."""

    board: Board

    def train(self, metrics: MetricsLog | None, stop: StopRequest) -> None:
        """As `Trainer.train`; UserError with the reason where a worker ends before its time."""
        self.metrics = metrics
        if not self.is_done():  # else only the last files are missing
            with self.started() as processes:
                self.clock.start()
                self.watch(processes, stop)
                self.clock.stop()
        self.check_parameters()

    def watch(self, processes: Processes, stop: StopRequest) -> None:
        """Let the workers train to the last epoch, or until `stop` is asked for; then all stand still."""
        board = self.board
        board.epochs = self.position.epoch + 1
        board.order = RUN
        while True:
            self.look_at(processes)
            self.take_stock()
            if stop.signal is not None:
                return self.stand_still(processes)
            still = self.is_due("eval") or self.is_due("save")
            if still:
                self.stand_still(processes)
            if self.is_due("log"):
                self.log()
            if self.is_due("eval"):
                self.evaluate()
            if self.is_due("save"):
                self.save()
            if self.judge.gives_up:
                return
            self._seen = self.position.step
            if still:
                board.order = RUN
            if (board.epoch == self.position.epoch + 1).all():  # then all of them wait for the next one
                self.take_stock()
                self.position.epoch += 1
                self.position.step_in_epoch, self.position.units = 0, 0.0
                self.after_epoch()
                if self.is_done():
                    return
                board.epochs = self.position.epoch + 1
            self.move_bar()
            time.sleep(NAP)

    # The processes

    @contextmanager
    def started(self) -> Iterator[Processes]:
        """The workers, ready to train in the memory that the model is now in. At the end none of them is left."""
        workers, position = self.config.training.workers, self.position
        if position.step and len(position.workers) != workers:  # each goes on in its own part of the data
            raise ConfigError(f"training.workers: {workers}: {self.run} was trained with {len(position.workers) or 1}; a resumed "
                              "run keeps their number")
        shared = SharedModel.create(self.model, workers, self.run.folder)
        shared.attach()
        give_memory_back()  # this process has read the text and built the model, and now only watches
        self.board = board = shared.board
        board.order = PAUSE
        for i, at in enumerate(position.workers):
            board.epoch[i], board.step[i], board.steps[i], board.units[i] = at["epoch"], at["step"], at["steps"], at["units"]
        self._loss, self._count = 0.0, 0.0  # of the board, as of the last look at it
        self._seen = position.step
        processes: Processes = []
        try:
            for i in range(workers):
                processes.append(self.start(i, shared))
            while (board.state == STARTING).any():
                self.look_at(processes)
                time.sleep(NAP)
            yield processes
        finally:
            board.order = STOP
            until = time.monotonic() + PATIENCE
            for process, words in processes:
                try:
                    process.wait(max(0.0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                words.close()
            shared.file.close()

    def start(self, worker: int, shared: SharedModel) -> tuple[subprocess.Popen, IO[bytes]]:
        threads = str(self.config.training.blas_threads or os.cpu_count() or 1)
        environment = os.environ | {name: threads for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")}
        # it finds the modules that this process finds, and no others
        environment |= {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "PYTHONSAFEPATH": "1"}
        memory = shared.file.fileno()
        command = [sys.executable, "-m", "nnkit.training.worker", os.path.abspath(self.run), worker,
                   self.config.training.workers, memory, os.getpid()]
        words: IO[bytes] = tempfile.TemporaryFile()
        # A Ctrl-C reaches all processes, and the trainer alone decides what to do. What is blocked here stays blocked in a worker
        # from its first moment on; this process gets it right after.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            return subprocess.Popen(list(map(str, command)), env=environment, pass_fds=[memory], stdin=subprocess.DEVNULL,
                                    stdout=words, stderr=words), words
        except OSError as error:
            words.close()
            raise UserError(f"worker {worker} cannot be started ({error.strerror}); set a smaller training.workers") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def look_at(self, processes: Processes) -> None:
        """Diverged or UserError where a worker ended."""
        for i, (process, words) in enumerate(processes):
            code = process.poll()
            if self.board.state[i] == DIVERGED:
                self.take_stock()
                raise Diverged(self.diverged(self.position.step, f"the loss of worker {i} is not finite"))
            if code is None:
                continue
            words.seek(0)
            said = words.read().decode(errors="replace").strip()
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            reason = f": {said.splitlines()[-1]}" if said else ", perhaps for want of memory" if code == -signal.SIGKILL else ""
            if places := re.findall(r'^ *File "(.*)", line (\d+)', said, re.MULTILINE):
                own = [place for place in places if place[0].startswith(os.path.abspath(self.run))]  # the recipe's
                reason += " ({}:{})".format(*(own or places)[-1])
            saved = (f"--resume {self.run} goes on from step {self._saved_at[1]:,}, which was saved" if self._saved_at is not None
                     else "nothing was saved before")
            raise UserError(f"worker {i} of {len(processes)} {how}{reason}; {saved}")

    def stand_still(self, processes: Processes) -> None:
        """Have every worker end its step and wait; then the position is exact."""
        self.board.order = PAUSE
        while not self.board.stands_still:
            self.look_at(processes)
            time.sleep(NAP / 10)
        self.take_stock()

    # What they did

    def take_stock(self) -> None:
        """Bring the position up to what the board says."""
        board, position = self.board, self.position
        loss, count = float(board.loss.sum()), float(board.count.sum())
        position.since_log.add(loss - self._loss, count - self._count)
        position.since_evaluation.add(loss - self._loss, count - self._count)
        self._loss, self._count = loss, count
        position.step = int(board.steps.sum())
        in_epoch = float(board.units.sum()) - position.epoch * self.recipe.units_per_epoch
        position.units = min(max(in_epoch, 0.0), self.recipe.units_per_epoch)
        position.step_in_epoch = int(board.step.sum() + (board.epoch > position.epoch).sum())
        position.workers = [{"epoch": int(board.epoch[i]), "step": int(board.step[i]), "steps": int(board.steps[i]),
                             "units": float(board.units[i])} for i in range(len(board.epoch))]
        self.optimizer.set(**self.schedules.at(self.progress(), position.step))

    def is_due(self, what: str) -> bool:
        """Whether the steps since the last round have passed a multiple of log.every, eval.every or save.every."""
        every = getattr(self.config, what).every
        return every.unit == "step" and self.position.step // every.count > self._seen // every.count


def give_memory_back() -> None:
    """Return what was freed to the system. glibc would keep some of it for later, up to 64 MB; others have no such call."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass
