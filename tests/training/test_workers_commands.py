"""training.workers: N as a person runs it, in processes of their own: Ctrl-C, SIGTERM, kill -9, a script without a guard."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no workers")

RECIPE = Path(__file__).parent / "recipes/tally.py"
CONFIG = f"""\
recipe: {RECIPE}
name: tally
data: {{items: 62, tally: tally.txt, pause: 0.005}}
training: {{epochs: 1000000, workers: 2}}
optimizer: {{lr: 0.1}}
"""


class Command:
    """`nnkit train ...` in a group of processes of its own, as a shell starts it."""

    def __init__(self, folder, *words):
        self.folder = folder
        self.process = subprocess.Popen([sys.executable, "-m", "nnkit.train", *words], cwd=folder, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True)

    def until(self, condition):
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def until_saved(self):
        self.until((self.folder / "runs/tally-001/checkpoints/last.npz").exists)

    def end(self):
        """(exit code, what it said on stderr); no worker of it is left."""
        _, said = self.process.communicate(timeout=60)
        assert "Traceback" not in said
        assert_none_left(self.folder)
        return self.process.returncode, said


def workers(folder):
    path = folder / "tally.txt.processes"
    return [int(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] if path.exists() else []


def is_running(pid):
    try:
        os.kill(pid, 0)
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
        return not state.startswith("Z") and state != ""  # one that ended, where nobody asks for its exit code
    except ProcessLookupError:
        return False


def assert_none_left(folder):
    end = time.monotonic() + 20
    while any(map(is_running, workers(folder))):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path):
    """Start the command on the config, with more words if there are some; what a failed test leaves running is killed."""
    (tmp_path / "tally.yaml").write_text(CONFIG, encoding="utf-8")
    commands = []

    def start(*words):
        commands.append(Command(tmp_path, *(words or ["tally.yaml"])))
        return commands[-1]

    yield start
    for command in commands:
        if command.process.poll() is None:
            command.process.kill()
        command.process.communicate()
    for pid in filter(is_running, workers(tmp_path)):
        os.kill(pid, signal.SIGKILL)


def items(folder, epoch):
    rows = [line.split() for line in (folder / "tally.txt").read_text(encoding="utf-8").splitlines()]
    return sorted(int(item) for row in rows if row[0] == str(epoch) for item in row[3:])


def epochs_begun(folder):
    return max(int(line.split()[0]) for line in (folder / "tally.txt").read_text(encoding="utf-8").splitlines()) + 1


@pytest.mark.case("trainer", 8)
def test_ctrl_c_which_reaches_all_processes_saves_and_resume_finishes(start, tmp_path):
    command = start()
    command.until_saved()
    os.killpg(command.process.pid, signal.SIGINT)
    code, said = command.end()
    assert code == 130 and f"nnkit train --resume {Path('runs/tally-001')}" in said
    n = epochs_begun(tmp_path)
    code, said = start("--resume", "tally-001", f"training.epochs={n}").end()
    assert code == 0, said
    for epoch in range(n):
        assert items(tmp_path, epoch) == list(range(62))


def test_sigterm_to_the_trainer_alone_saves(start):
    command = start()
    command.until_saved()
    command.process.terminate()
    code, said = command.end()
    assert code == 143 and "interrupted" in said


def test_a_second_ctrl_c_ends_at_once_and_leaves_no_worker(start, tmp_path):
    command = start("tally.yaml", "data.pause=3")
    command.until(lambda: (tmp_path / "tally.txt").exists())
    os.killpg(command.process.pid, signal.SIGINT)
    assert any("SIGINT: finishing this step" in line for line in iter(command.process.stderr.readline, ""))
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.end()[0] == 130


def test_a_killed_worker_ends_the_run_with_one_line(start, tmp_path):
    command = start()
    command.until_saved()
    os.kill(workers(tmp_path)[0], signal.SIGKILL)
    code, said = command.end()
    last = said.splitlines()[-1]
    assert code == 1 and last.startswith("error: worker ") and "was killed by SIGKILL" in last
    assert f"; --resume {Path('runs/tally-001')} goes on from step " in last


@pytest.mark.parametrize("pause", ["0.005", "0"])
def test_workers_end_by_themselves_when_the_trainer_is_killed(start, tmp_path, pause):
    command = start("tally.yaml", f"data.pause={pause}", "data.items=100000")  # an epoch would go on for a minute
    command.until(lambda: (tmp_path / "tally.txt").exists())
    command.process.kill()
    command.process.wait()
    assert_none_left(tmp_path)


def test_workers_that_were_still_loading_end_by_themselves_when_the_trainer_is_killed(start, tmp_path):
    """One that had not looked yet for whom it works waited for ever for an order."""
    command = start("tally.yaml", "data.trouble=late")
    command.until(lambda: len(workers(tmp_path)) == 2)
    assert not (tmp_path / "tally.txt").exists()
    command.process.kill()
    command.process.wait()
    assert_none_left(tmp_path)


def test_a_killed_run_goes_on_from_its_last_save(start, tmp_path):
    command = start()
    command.until_saved()
    command.process.kill()
    command.process.wait()
    assert_none_left(tmp_path)
    n = epochs_begun(tmp_path) + 1
    code, said = start("--resume", "tally-001", f"training.epochs={n}").end()
    assert code == 0 and "resume  from step" in said
    assert items(tmp_path, n - 1) == list(range(62))


def test_it_works_at_the_top_level_of_a_script(tmp_path):
    (tmp_path / "tally.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "script.py").write_text(
        "import nnkit\nprint('once')\n"
        "run = nnkit.fit('tally.yaml', {'training.epochs': 2, 'data.pause': 0}, quiet=True)\n"
        "print(run.exit_code)\n", encoding="utf-8")
    result = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "once\n0\n", "")
    assert len(set(workers(tmp_path))) == 2


def test_a_refusal_is_one_line_with_exit_code_2(start, tmp_path):
    code, said = start("tally.yaml", "optimizer.momentum=0.9").end()
    assert code == 2 and "training.workers: 2: the optimizer keeps a state" in said.splitlines()[-1]
    assert not (tmp_path / "runs").exists()
