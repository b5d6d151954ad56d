"""nnkit sweep: a training for every combination of some settings, each a process of its own, and one table of what they came to.

    runs/classifier-sweep-001/    sweep.json  01/  02/  ...

sweep.json says which combination each folder is of; all else is in the runs themselves. So the same command goes on where it was
stopped, and one with more values adds runs.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from nnkit.errors import ConfigError, UserError
from nnkit.training import config as configs
from nnkit.training.fitting import check_config
from nnkit.training.making import recipe_file
from nnkit.training.own_code import load_file
from nnkit.training.own_layers import files_of_layers
from nnkit.training.recipe import load_recipe, local_files
from nnkit.training.run_directory import RunDirectory, check_name
from nnkit.training.signals import StopRequest
from nnkit.training.sweep_table import Settings, Trial, table
from nnkit.training.yaml_nodes import reads_as

NAP = 0.05  # seconds between two looks at the processes
PATIENCE = 10.0  # seconds for them to save, where nobody asked twice to stop
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")  # what BLAS libraries read

Process = tuple[subprocess.Popen, IO[bytes]]  # and what it said


class Sweep:
    """All combinations of the values in `overrides` (["optimizer.lr=0.1,0.3", "seed=1,2,3"]) for one config.

    out: the folder; runs/NAME-sweep-001 and so on where it is None. One that is a sweep of this config is gone on with.
    ConfigError for what is wrong in any combination, before anything is made or started.
    """

    def __init__(self, config: str | os.PathLike[str], overrides: Sequence[str], out: str | os.PathLike[str] | None = None):
        self.config = Path(config)
        self.values = read_values(overrides)
        combinations = [dict(zip(self.values, chosen)) for chosen in itertools.product(*self.values.values())]
        names = [check_settings(self.config, settings) for settings in combinations]
        self.sha256 = fingerprint(self.config)
        self.folder = Path(out) if out is not None else numbered(f"{names[0]}-sweep")
        known = self.known()
        for settings in combinations:
            if settings not in known.values():
                known[f"{len(known) + 1:02d}"] = settings
        self.trials = [Trial(self.folder / number, settings) for number, settings in known.items() if settings in combinations]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            RunDirectory(self.folder).write_json("sweep.json", {"format": 1, "config": os.path.abspath(self.config),
                                                                "config_sha256": self.sha256, "runs": known})
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be written to ({error.strerror or error}); give another --out") from error

    def known(self) -> dict[str, Settings]:
        """The runs of sweep.json. ConfigError where the folder holds something else, or a sweep of another config."""
        path = self.folder / "sweep.json"
        if not path.is_file():
            if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                raise ConfigError(f"{self.folder}: is not empty and is no sweep; give another --out, or leave it out")
            return {}
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            config, sha256, runs = saved["config"], saved["config_sha256"], saved["runs"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: is damaged ({error}); leave out --out to start a new sweep") from error
        if (config, sha256) != (os.path.abspath(self.config), self.sha256):
            what = f"is a sweep of {config}" if config != os.path.abspath(self.config) else f"{config} has changed since it began"
            raise ConfigError(f"{self.folder}: {what}, its runs would not compare; leave out --out to start a new one")
        return runs

    def run(self, jobs: int = 1, say: Callable[[str], Any] = print) -> int:
        """Train what is not settled, `jobs` processes at a time; returns 0, or 130 or 143 where a signal stopped them all.

        They save on the first signal; on a second one they are ended at once. UserError where the sweep is running already.
        """
        waiting = [trial for trial in self.trials if not trial.is_settled()]
        done = len(self.trials) - len(waiting)
        say(f"sweep   {len(self.trials)} runs in {self.folder}, {jobs} at a time"
            + (f"; {done} of them are done" if done else ""))
        running: dict[Trial, Process] = {}
        environment = child_environment(jobs)
        stopping = StopRequest(lambda line: say(line.replace("this step", "the step of every run")))
        with RunDirectory(self.folder).claimed(), stopping as stop:
            try:
                told = False
                while running or (waiting and stop.signal is None):
                    while waiting and len(running) < jobs and stop.signal is None:
                        trial = waiting.pop(0)
                        running[trial] = start(command(trial, self.config), environment)
                    if stop.signal is not None and not told:
                        told = True
                        for process, _ in running.values():
                            process.terminate()
                    time.sleep(NAP)
                    for trial in [trial for trial, (process, _) in running.items() if process.poll() is not None]:
                        trial.error = reason(*running.pop(trial))
                        if stop.signal is None:
                            done += 1
                            say(f"{done}/{len(self.trials)}   {trial}")
            finally:  # a second signal, or a mistake of ours: they may still save, and none is left behind
                for process, _ in running.values():
                    process.terminate()
                until = time.monotonic() + (0 if stop.signal is not None else PATIENCE)
                for process, said in running.values():
                    try:
                        process.wait(max(0.0, until - time.monotonic()))
                    except subprocess.TimeoutExpired:
                        process.kill()
                    process.wait()
                    said.close()
        return stop.exit_code

    def has_failed(self) -> bool:
        """Whether a run ended in a way that says nothing about its settings."""
        return any(trial.error and trial.facts().get("status") != "diverged" for trial in self.trials)

    def table(self) -> list[list[str]]:
        """Rows of cells, the header first: a row for each combination but for the seed; see `sweep_table.table`."""
        return table(self.trials, [key for key, values in self.values.items() if len(values) > 1 and key != "seed"])


# The command line

def read_values(overrides: Sequence[str]) -> dict[str, list[str]]:
    """The values of each key; of a key that is given twice, the last ones. ConfigError where one is empty or comes twice."""
    values: dict[str, list[str]] = {}
    for text in overrides:
        key, equals, given = text.removeprefix("--").partition("=")
        several = split_values(given)
        if not equals or not key:
            raise ConfigError(f"command line: {text}: write key=value,value")
        if len(several) > 1 and "" in several:
            raise ConfigError(f"command line: {text}: nothing stands beside a comma; write null or '' for an empty value")
        if len({float(value) if reads_as(value, "float") else value for value in several}) < len(several):  # 1 and 01
            raise ConfigError(f"command line: {text}: a value comes twice; leave one of them out")
        values[key] = several
    return values


def split_values(text: str) -> list[str]:
    """Split at the commas outside of brackets and quotes: "{a: 1, b: 2},x" is two values."""
    parts, depth, quote, before = [""], 0, "", ","
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and before in ",[{: ":  # an apostrophe within a word is none
            quote = character
        elif character == "," and depth == 0:
            parts.append("")
            before = character
            continue
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        parts[-1] += character
        before = character
    return [part.strip() for part in parts]


def check_settings(config: Path, settings: Settings) -> str:
    """The name that runs of this config have. ConfigError as a training with these settings would give it."""
    tree = configs.read_tree(config, [f"{key}={value}" for key, value in settings.items()])
    recipe_class = load_recipe(recipe_file(tree))
    checked = configs.validate(tree, recipe_class.Config)
    check_config(tree, checked, recipe_class)
    name = checked.name or config.stem
    check_name(name)
    return name


def fingerprint(config: Path) -> str:
    """What a config says with all that it includes, and the code of its recipe and of its layers."""
    tree = configs.read_tree(config, [])
    recipe_class, layers = load_recipe(recipe_file(tree)), files_of_layers(tree)
    for file in layers:
        load_file(file)  # for what it imports
    code = local_files(recipe_class, layers)
    said = json.dumps(tree.plain(), sort_keys=True, default=str).encode()
    return hashlib.sha256(b"\0".join([said, *(code[name].read_bytes() for name in sorted(code))])).hexdigest()


def numbered(name: str, root: Path = Path("runs")) -> Path:
    """A new folder with the next number."""
    try:
        root.mkdir(exist_ok=True)
        taken = [int(match[1]) for match in map(re.compile(re.escape(name) + "-([0-9]+)").fullmatch, os.listdir(root)) if match]
        number = max(taken, default=0) + 1
        while True:
            try:
                (root / f"{name}-{number:03d}").mkdir()  # of two sweeps that start together, one gets it
                return root / f"{name}-{number:03d}"
            except FileExistsError:
                number += 1
    except OSError as error:
        raise UserError(f"{root}: cannot make the sweep's folder there ({error.strerror or error}); "
                        "give one with --out") from error


# The processes

def command(trial: Trial, config: Path) -> list[str]:
    """What trains it, from the start or from where it was stopped."""
    words = [sys.executable, "-m", "nnkit.train", "-q"]
    if any(trial.folder.glob("checkpoints/last*.npz")):
        return [*words, "--resume", str(trial.folder)]
    anew = ["--force"] if trial.folder.exists() else []  # it was stopped before its first checkpoint
    return [*words, str(config), *(f"{key}={value}" for key, value in trial.settings.items()), "--out", str(trial.folder), *anew]


def child_environment(jobs: int) -> dict[str, str]:
    """Each process gets its share of the cores for matrix products, unless the user has said how many."""
    environment = dict(os.environ)
    if not any(name in environment for name in THREADS):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        environment |= dict.fromkeys(THREADS, str(max(1, cores // jobs)))
    return environment


def start(words: list[str], environment: dict[str, str]) -> Process:
    # In a session of its own, for Ctrl-C on a terminal reaches all processes of a session: it is told to stop once, by us.
    said = tempfile.TemporaryFile()
    return subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                            start_new_session=True), said


def reason(process: subprocess.Popen, said: IO[bytes]) -> str:
    """Why an ended process has no result, in a line; nothing where it has one."""
    with said:
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").split("\n")
    if process.returncode == 0:
        return ""
    if process.returncode in (130, 143):
        return "stopped"
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing").removeprefix("error: ")
    return f"{'diverged' if process.returncode == 3 else 'failed'}: {last}"
