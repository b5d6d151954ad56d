"""The memory that workers share: where it is taken from, and that a trainer which orders them to stand still can rely on it."""

import errno
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit import nn
from nnkit.errors import UserError
from nnkit.training import RunConfig, worker
from nnkit.training import workers as workers_module
from nnkit.training.shared import PAUSE, RUN, STOP, Board, SharedModel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no workers")


class TwoTables(nn.Module):
    def __init__(self, rng):
        self.a = nn.init.uniform((7, 3), 1, rng)
        self.b = nn.init.uniform((5,), 1, rng)


@pytest.fixture
def create(tmp_path):
    """SharedModel.create, for two tables and two workers unless told otherwise; the files are closed afterwards."""
    made = []

    def create(model=None, workers=2):
        made.append(SharedModel.create(model or TwoTables(np.random.default_rng(0)), workers, tmp_path))
        return made[-1]

    yield create
    for shared in made:
        shared.file.close()


def open_files(folder):
    """The process' own open files in this folder: ours have no name there."""
    numbers = [number for number in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{number}")]
    links = [os.readlink(f"/proc/self/fd/{number}") for number in numbers]
    return [link for link in links if link.startswith(f"{folder}/")]


def refuse(monkeypatch, *folders):
    """As if there were no room in these folders."""
    reserve = os.posix_fallocate
    full = {os.stat(folder).st_dev for folder in folders}

    def full_or_not(file, offset, size):
        if os.fstat(file).st_dev in full:
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(file, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", full_or_not)


needs_shm = pytest.mark.skipif(
    not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(tempfile.gettempdir()).st_dev,
    reason="this system has no /dev/shm beside its temporary files")


def test_two_who_map_the_file_see_each_others_writes_and_the_parameters_keep_their_values(create):
    first, second = TwoTables(np.random.default_rng(0)), TwoTables(np.random.default_rng(1))
    before = [p.value.copy() for p in first.parameters()]
    mine = create(first)
    mine.attach()
    SharedModel(mine.file, second, 2).attach()
    for old, a, b in zip(before, first.parameters(), second.parameters()):
        np.testing.assert_array_equal(a.value, old)
        b.value[...] = 5
        np.testing.assert_array_equal(a.value, np.full_like(old, 5))
        assert a.value.dtype == old.dtype


def test_the_board_and_the_parameters_do_not_overlap(create):
    model = TwoTables(np.random.default_rng(0))
    shared = create(model, 3)
    shared.attach()
    board = shared.board
    for value in (board.state, board.obeyed, board.epoch, board.step, board.steps, board.units, board.loss, board.count):
        assert value.shape == (3,) and not value.any()
        value[...] = 9
    assert all(np.abs(p.value).max() <= 1 for p in model.parameters())
    for p in model.parameters():
        p.value[...] = 0
    assert (board.state == 9).all() and (board.count == 9).all()


@needs_shm
def test_memory_has_no_name_that_a_killed_run_could_leave_behind(create):
    before = set(os.listdir("/dev/shm"))
    shared = create()
    assert set(os.listdir("/dev/shm")) == before and os.fstat(shared.file.fileno()).st_dev == os.stat("/dev/shm").st_dev


@needs_shm
def test_where_memory_has_no_room_the_folder_of_temporary_files_is_used(create, monkeypatch):
    refuse(monkeypatch, "/dev/shm")
    shared = create()
    assert os.fstat(shared.file.fileno()).st_dev == os.stat(tempfile.gettempdir()).st_dev


def test_no_room_anywhere_is_one_line_that_names_the_folders_and_leaves_nothing_open(create, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    before = sorted(os.listdir(tempfile.gettempdir()))
    with pytest.raises(UserError) as error:
        create()
    message = str(error.value)
    assert "\n" not in message and f"{tmp_path} (No space left)" in message and "set training.workers: 1" in message
    assert sorted(os.listdir(tempfile.gettempdir())) == before and list(tmp_path.iterdir()) == []
    if os.path.isdir("/proc/self/fd"):
        assert not open_files(tmp_path)


def test_a_worker_that_builds_another_model_is_told_so(create):
    shared = create()
    with pytest.raises(UserError, match=r"built a model of [\d,]+ bytes in a worker and of [\d,]+ in the trainer"):
        SharedModel(shared.file, nn.Embedding(50, 50, rng=np.random.default_rng(0)), 2)


# The protocol, with threads in the place of processes

class Jumpy(np.ndarray):
    """Another thread may come in before and after every access."""

    def __getitem__(self, key):
        self.jump()
        value = super().__getitem__(key)
        self.jump()
        return value

    def __setitem__(self, key, value):
        self.jump()
        super().__setitem__(key, value)
        self.jump()

    @staticmethod
    def jump():
        chance = random.random()
        time.sleep(3e-4 if chance < 0.06 else 0)  # now and then a thread is held up for as long as others take for many steps


class Steps:
    """In place of a recipe, a model's loss and an optimizer; `inside` is true from a step's first moment to its last."""

    shares_tables, loss_is_sum, units_per_epoch, count, units, lr = True, False, 1.0, 1, 0.1, 0.0

    def __init__(self, in_epoch):
        self.in_epoch, self.inside, self.done = in_epoch, False, []

    def take_part(self, worker, workers):
        pass

    def batches(self, epoch, rng, start):
        self.epoch = epoch
        for number in range(start, self.in_epoch):
            self.number = number
            yield self

    def loss(self, model, batch):
        self.inside = True
        time.sleep(0)
        return self

    def __float__(self):
        return 1.0

    def set(self, **values):
        pass

    def zero_grad(self):
        pass

    def backward(self):
        time.sleep(0)

    def step(self):
        self.done.append((self.epoch, self.number))
        self.inside = False


class Team:
    """Threads that run the loop of a worker on one board."""

    def __init__(self, in_epoch):
        rng = np.random.default_rng(0)
        model = nn.Embedding(2, 2, rng=rng)
        self.shared = SharedModel.create(model, len(in_epoch), Path(tempfile.gettempdir()))
        self.board = self.shared.board
        self.board._orders = self.board._orders.view(Jumpy)
        self.board.obeyed = self.board.obeyed.view(Jumpy)
        self.board.order = PAUSE
        self.steps = [Steps(n) for n in in_epoch]
        self.errors = []
        self.threads = [threading.Thread(target=self.run, args=(i, model)) for i in range(len(in_epoch))]

    def run(self, i, model):
        try:
            one = worker.Worker(self.steps[i], model, RunConfig(recipe="none"), self.shared, i, len(self.steps), os.getppid())
            one.optimizer = self.steps[i]
            one.train()
        except worker.Stopped:
            pass
        except BaseException as error:
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.board.order = STOP
        for thread in self.threads:
            thread.join(20)
        self.shared.file.close()
        assert not any(thread.is_alive() for thread in self.threads) and not self.errors

    def pause(self):
        self.board.order = PAUSE
        self.until(lambda: self.board.stands_still)

    def until(self, condition):
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end and not self.errors
            time.sleep(0)


@pytest.fixture
def no_naps(monkeypatch):
    monkeypatch.setattr(worker, "NAP", 0)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.lists(st.sampled_from(["none", "running", "still"]), max_size=12))
@settings(max_examples=40, deadline=None, database=None)
def _no_step_runs(in_epoch, new_epochs):
    with Team(in_epoch) as team:
        board = team.board
        for new_epoch in new_epochs:
            board.order = RUN
            if new_epoch == "running":
                team.until(lambda: (board.epoch == board.epochs).all())
                board.epochs = board.epochs + 1
            time.sleep(0)
            team.pause()
            before = [list(steps.done) for steps in team.steps]
            if new_epoch == "still" and (board.epoch == board.epochs).all():
                board.epochs = board.epochs + 1
            for _ in range(20):
                assert not any(steps.inside for steps in team.steps)
                time.sleep(0)
            assert [steps.done for steps in team.steps] == before
            # what a checkpoint would hold: each worker's place, and so what it has done
            for i, steps in enumerate(team.steps):
                done = board.epoch[i] * steps.in_epoch + board.step[i]
                assert board.steps[i] == len(steps.done) == done
                expected = [(epoch, n) for epoch in range(board.epochs) for n in range(steps.in_epoch)]
                assert steps.done == expected[:done]


def test_no_step_runs_while_the_trainer_believes_that_all_stand_still(no_naps):
    _no_step_runs()


def test_an_epoch_begins_when_all_have_ended_the_one_before(no_naps):
    with Team([3, 0, 40]) as team:
        board = team.board
        board.order = RUN
        for epoch in range(1, 6):
            board.epochs = epoch
            team.until(lambda: (board.epoch == board.epochs).all())
            time.sleep(0.002)
            assert [len(steps.done) for steps in team.steps] == [3 * epoch, 0, 40 * epoch]


def test_a_worker_ends_in_the_middle_of_an_epoch_when_its_trainer_is_gone(no_naps, monkeypatch):
    with Team([10**9]) as team:
        team.board.epochs, team.board.order = 1, RUN
        team.until(lambda: team.steps[0].done)
        monkeypatch.setattr(os, "getppid", lambda: 1)
        team.threads[0].join(20)
        assert not team.threads[0].is_alive() and team.board.order == RUN


def test_the_number_of_bytes_is_what_the_boards_fields_need():
    for workers in (1, 2, 256):
        board = Board(np.zeros(Board.size(workers), np.uint8), workers)
        assert board.count.shape == (workers,)


TRY = """
import fcntl, os, signal, sys
from nnkit.training.worker import in_turn
file = os.fdopen(int(sys.argv[1]), "r+b")
try:
    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
except OSError:
    sys.exit(1)
fcntl.lockf(file, fcntl.LOCK_UN)
with in_turn(file):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_build_one_after_the_other_and_one_that_was_killed_holds_up_nobody(create):
    """Else all of them hold a second copy of the tables at the same moment, which was the peak of a run's memory."""
    file = create().file

    def try_it():
        return subprocess.run([sys.executable, "-c", TRY, str(file.fileno())], pass_fds=[file.fileno()], check=False).returncode

    with worker.in_turn(file):
        assert try_it() == 1
    assert try_it() == -signal.SIGKILL
    with worker.in_turn(file):  # would wait for ever
        assert try_it() == 1


GIVE_BACK = """
import numpy as np
from nnkit.training.workers import give_memory_back
def in_memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
np.ones(3_000_000)  # from now on glibc keeps what is smaller
some = [np.ones(100_000) for _ in range(50)]
del some
before = in_memory()
give_memory_back()
print(before - in_memory())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what was freed, and can be told")
def test_what_was_freed_goes_back_to_the_system():
    returned = subprocess.run([sys.executable, "-c", GIVE_BACK], check=True, capture_output=True, text=True).stdout
    assert int(returned) > 20_000_000  # of 40,000,000


def test_where_the_system_has_no_such_call_nothing_happens(monkeypatch):
    for missing in (AttributeError, OSError):
        def refuse(name, missing=missing):
            raise missing(name)

        monkeypatch.setattr(workers_module.ctypes, "CDLL", refuse)
        workers_module.give_memory_back()
