"""A run from its config to its last file: `fit` starts one, `resume` goes on with one that stopped."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from nnkit.autograd.rows import is_compiled
from nnkit.errors import ConfigError, DataError, UserError
from nnkit.files import replacing
from nnkit.nn import Module
from nnkit.training import config as configs
from nnkit.training.checkpoints import check_room
from nnkit.training.console import Console, in_notebook
from nnkit.training.details import config_lines, environment_line, parameter_lines
from nnkit.training.files import plain
from nnkit.training.first_step import check_last_batch, naming_layers
from nnkit.training.fitting import check_config, locating
from nnkit.training.looking import SeenRun
from nnkit.training.loop import Trainer
from nnkit.training.making import make_optimizer, make_schedules, recipe_file
from nnkit.training.metrics import MetricsLog, read_metrics, write_history
from nnkit.training.mpi import find_ranks
from nnkit.training.own_layers import files_of_layers
from nnkit.training.plots import safe_plot
from nnkit.training.ranks import Ranks, check_ranks
from nnkit.training.recipe import Recipe, load_recipe, local_files
from nnkit.training.run_directory import RunDirectory
from nnkit.training.schema import RunConfig
from nnkit.training.signals import StopRequest
from nnkit.training.text_ranks import trainer_of_ranks
from nnkit.training.trainer_state import Callback
from nnkit.training.workers import WorkersTrainer
from nnkit.training.yaml_nodes import Node

MAY_CHANGE = ("training.epochs", "training.patience", "log.", "save.", "eval.every")  # on resume: what does not change the past


@dataclass(repr=False)
class Run(SeenRun):
    """What `fit` and `resume` return. exit_code: 0, or 130/143 where a signal ended the run early (it can be resumed)."""

    directory: RunDirectory
    recipe: Recipe
    model: Module
    exit_code: int


def fit(config: str | os.PathLike[str], overrides: Sequence[str] | dict[str, Any] = (), *,
        out: str | os.PathLike[str] | None = None, force: bool = False, quiet: bool = False, verbose: bool = False,
        on_log: Callback | None = None, on_evaluate: Callback | None = None, ranks: Ranks | None = None) -> Run:
    """Train by a config file into a new run directory.

    overrides: ["optimizer.lr=0.1"] or {"optimizer.lr": 0.1}. out: the run's folder, in place of runs/NAME-001. quiet,
    verbose: as -q and -v of the command. on_log is called with every row of metrics.jsonl, on_evaluate with a copy of that of
    each evaluation, after it; what they return is not looked at, and what they raise ends the training and comes out here.
    ranks: those that mpiexec started, which `find_ranks` finds by itself; the first alone writes, prints and calls back.
    Ctrl-C, in a notebook the stop button, ends it after the step: the run so far is returned, its status "interrupted". In
    a thread of its own it hears of neither; an on_log that raises ends it there.
    ConfigError, DataError, Diverged and other UserErrors as the commands have them.
    """
    ranks = find_ranks() if ranks is None else ranks
    with ranks.guarded():
        if isinstance(overrides, dict):
            overrides = [f"{key}={configs.to_scalar(value)}" for key, value in overrides.items()]
        path = Path(config)
        tree = configs.read_tree(path, overrides)
        recipe_class = load_recipe(recipe_file(tree))
        settings = with_threads(ranks, configs.validate(tree, recipe_class.Config))
        check_ranks(ranks, settings)
        check_config(tree, settings, recipe_class)
        console = console_of(ranks, quiet, verbose)
        # read first: a run that is started from its own config with --force is moved aside
        layers = files_of_layers(tree)
        code = {f"code/{name}": file for name, file in local_files(recipe_class, layers).items()}
        files = {name: file.read_bytes() for name, file in code.items()}
        copies = {str(layer): name for layer in layers for name, file in code.items() if file.samefile(layer)}
        resolved = configs.to_yaml(settings.model_copy(update={"recipe": next(iter(files))}), copies)
        files |= {"config.source.yaml": path.read_bytes(), "config.yaml": resolved.encode()}
        run = ranks.first(lambda: RunDirectory.create(settings.name or path.stem, out=out, force=force))
        if not ranks.is_first:
            run.replaced = None  # the first puts it back, or deletes it
        try:
            for name, content in files.items() if ranks.is_first else ():
                run.path(name).parent.mkdir(parents=True, exist_ok=True)
                run.path(name).write_bytes(content)
            return _train(run, recipe_class, settings, console, tree, on_log, on_evaluate, ranks, resumed=False)
        except BaseException:
            console.close()
            if not run.path("metrics.jsonl").exists():  # it never began: a mistake in the config or the data leaves no folder
                shutil.rmtree(run.folder, ignore_errors=True)
            run.abandon()
            raise
        finally:
            console.close()


def resume(name: str | os.PathLike[str], overrides: Sequence[str] = (), *, quiet: bool = False, verbose: bool = False,
           on_log: Callback | None = None, on_evaluate: Callback | None = None, ranks: Ranks | None = None) -> Run:
    """Go on with a run where its last checkpoint stands; it ends with the bits it would have without the stop.

    The config is the run's own; the other arguments are those of `fit`. ConfigError for an override that would change the
    past, UserError where the run has no checkpoint, is finished, or its data changed.
    """
    ranks = find_ranks() if ranks is None else ranks
    with ranks.guarded():
        run = ranks.first(lambda: RunDirectory.open(name))
        for override in overrides:
            if not override.lstrip("-").startswith(MAY_CHANGE):
                raise ConfigError(f"command line: {override}: a resumed run keeps its config; what may change is "
                                  f"{', '.join(key.rstrip('.') for key in MAY_CHANGE)}; for anything else start a new run")
        ranks.first(run.check_writable)
        if not any(run.path("checkpoints").glob("last*.npz")):
            again = shlex.quote(str(run.path("config.yaml")))
            raise UserError(f"{run}: it stopped before its first checkpoint (save.every), there is nothing to go on from; "
                            f"start anew: nnkit train {again}")
        tree = configs.read_tree(run.path("config.yaml"), overrides)
        recipe_class = load_recipe(recipe_file(tree))
        settings = configs.validate(tree, recipe_class.Config)
        check_ranks(ranks, settings)
        check_config(tree, settings, recipe_class)
        console = console_of(ranks, quiet, verbose)
        try:
            return _train(run, recipe_class, settings, console, tree, on_log, on_evaluate, ranks, resumed=True)
        finally:
            console.close()


def _train(run: RunDirectory, recipe_class: type[Recipe], settings: RunConfig, console: Console, tree: Node,
           on_log: Callback | None, on_evaluate: Callback | None, ranks: Ranks, resumed: bool) -> Run:
    with (run.claimed() if ranks.is_first else nullcontext(),
          threadpool_limits(settings.training.blas_threads, user_api="blas")):
        if ranks.is_first:
            run.clear_away()
            console.open_log(run.path("train.log"))
        console.say(f"nnkit {nnkit_version()}   seed {settings.seed}   run {run}")
        if ranks.size > 1:
            console.say(f"ranks   {ranks.size}, each with training.blas_threads: {settings.training.blas_threads}")
        console.detail(environment_line(environment()))
        for line in config_lines(tree):
            console.detail(line)
        console.say("data    reading")  # the builtin text takes ten seconds the first time, then it is cached
        recipe_class.progress = console.show_reading
        with locating(tree):
            recipe = ranks.in_turn(lambda: recipe_class(settings))
        if summary := recipe.summary():
            console.say(f"data    {summary}")
        with locating(tree):
            model = recipe.build(np.random.default_rng([settings.seed, 0]))
        sizes = [p.value.size for p in model.parameters()] if isinstance(model, Module) else []
        if not sizes:
            raise UserError(f"{recipe_class.__name__}.build gave {type(model).__name__}; "
                            "expected a Module with parameters to train")
        console.say(f"model   {model!r}: {sum(sizes):,} parameters")
        for line in parameter_lines(model):
            console.detail(line)
        check_ranks(ranks, settings, model)
        if recipe_class.shares_tables and not is_compiled():
            console.say("numba   compiles the adding of rows, once on this machine; the first steps wait for it")
        with locating(tree):
            optimizer = make_optimizer(settings, model)
            check_last_batch(recipe, model, settings)
        schedules = make_schedules(settings)
        facts = recipe.facts()
        ranks.check_same(plain(facts), "what run.json says of the data")
        if notice := facts.get("notice"):
            console.say(f"notice  {notice}")
        kind = trainer_of_ranks(settings, ranks) if settings.training.workers == 1 else WorkersTrainer
        heard = (on_log, on_evaluate) if ranks.is_first else (None, None)
        trainer = kind(recipe, model, optimizer, schedules, settings, run, console, *heard, ranks)
        ranks.first(lambda: check_room(run.path("checkpoints"), trainer.saved_bytes()))
        trainer.check_parts()
        keep = 0
        earlier = ranks.first(run.read_run)
        if resumed:
            if earlier.get("data") != plain(facts):
                raise DataError(f"{run}: the data is not what it was when this run started (see \"data\" in its run.json); "
                                "start a new run")
            keep = trainer.restore()
            # one that was killed between its last step and its last file has only its files to write
            unwritten = trainer.is_at_the_end() and earlier.get("status") != "finished"
            if trainer.is_done() and not unwritten:
                if trainer.judge.gives_up:
                    raise UserError(f"{run} ended early, for {settings.eval.monitor} became no better in "
                                    f"{trainer.judge.waited} evaluations; to train on, add training.patience=N with a larger N")
                raise UserError(f"{run} has all its {trainer.epochs} epochs; to train on, add training.epochs=N with a larger N "
                                "(a schedule is then that of N epochs)")
            console.say(f"resume  from step {trainer.position.step:,}")
        trainer.begin_together(resumed)
        if ranks.is_first:
            _record_start(run, tree, settings, facts, ranks, resumed)
        with (ranks.guarded(lambda error: _record_failure(run, error)),
              MetricsLog(run.path("metrics.jsonl"), keep) if ranks.is_first else nullcontext() as metrics,
              StopRequest(console.say) as stop, naming_layers(model)):
            console.start_bar(trainer.epochs * recipe.units_per_epoch, trainer.units_done(), recipe.unit)
            trainer.train(metrics, stop)
            finish(run, recipe, model, trainer, console)
            ranks.wait()  # for the first, which exports and draws
    return Run(run, recipe, model, 0 if trainer.is_done() else stop.exit_code)


def finish(run: RunDirectory, recipe: Recipe, model: Module, trainer: Trainer, console: Console) -> None:
    """Save, export, draw, and say what came out; after a signal, too."""
    trainer.save()
    if trainer.is_done() and trainer.has_a_window():
        trainer.log()  # after saving: where the training goes on, these steps are part of a longer window
    judge = trainer.judge
    if judge.gives_up:
        console.say(f"early   {judge.monitor} became no better in {judge.waited} evaluations (training.patience)")
    best = trainer.take_best()
    model.eval()
    if not trainer.ranks.is_first:
        return
    if best:
        name = best["monitor"][1:]
        console.say(f"best    epoch {best['epoch']}, step {best['step']:,}: {name} {best['best']:.4f}; what follows is of it")
        run.update_run(best={"monitor": best["monitor"], "metric": name, "value": best["best"], "epoch": best["epoch"],
                             "step": best["step"]})
    recipe.export(model, run.path)
    write_history(read_metrics(run.path("metrics.jsonl")), run.path("history.csv"))
    hint = safe_plot(run.folder)
    status = "finished" if trainer.is_done() else "interrupted"
    for line in recipe.report(model):
        console.say(line)
    run.update_run(status=status, seconds=round(trainer.clock.seconds, 3), step=trainer.position.step,
                   **{f"{recipe.unit}_per_second": round(trainer.speed())})
    console.say(f"{status}   {trainer.position.step:,} steps, {trainer.speed():,.0f} {recipe.unit}/s   "
                f"{hint or 'picture ' + str(run.path('loss.png'))}")
    if not trainer.is_done():
        console.say(f"resume  nnkit train --resume {shlex.quote(str(run))}")


def console_of(ranks: Ranks, quiet: bool, verbose: bool) -> Console:
    """What is said is said once."""
    return Console(quiet, verbose) if ranks.is_first else Console(quiet=True)


def with_threads(ranks: Ranks, settings: RunConfig) -> RunConfig:
    """Several ranks share the cores of their machine, unless the config says how many threads each of them has."""
    if ranks.threads is None or "blas_threads" in settings.training.model_fields_set:
        return settings
    return settings.model_copy(update={"training": settings.training.model_copy(update={"blas_threads": ranks.threads})})


def environment() -> dict[str, Any]:
    """The versions and threads that a result may depend on."""
    blas = [{"library": pool.get("internal_api"), "version": pool.get("version"), "threads": pool.get("num_threads"),
             "kernel": pool.get("architecture")} for pool in threadpool_info() if pool.get("user_api") == "blas"]
    return {"nnkit": nnkit_version(), "python": platform.python_version(), "numpy": np.__version__,
            "platform": platform.platform(), "blas": blas}


def nnkit_version() -> str:
    try:
        return version("nnkit")
    except PackageNotFoundError:  # a checkout on the path that was never installed
        return "(not installed)"


def _record_start(run: RunDirectory, tree: Node, settings: RunConfig, facts: dict[str, Any], ranks: Ranks, resumed: bool) -> None:
    if resumed:
        with replacing(run.path("config.yaml")) as file:  # with more epochs, perhaps
            copies = {str(layer): Path(os.path.relpath(layer, os.path.realpath(run.folder))).as_posix()
                      for layer in files_of_layers(tree)}
            file.write(configs.to_yaml(settings, copies).encode())
    run.update_run(status="running", error=None, seed=settings.seed, argv=None if in_notebook() else sys.argv[1:], data=facts,
                   ranks=ranks.size if ranks.size > 1 else None, **environment())


def _record_failure(run: RunDirectory, error: BaseException) -> None:
    status = {3: "diverged"}.get(getattr(error, "exit_code", 1), "failed")
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        status = "interrupted"
    try:
        run.update_run(status=status, error=str(error) or type(error).__name__)
    except (UserError, OSError):
        pass  # what went wrong first is what the user must hear
