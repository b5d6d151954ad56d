"""Does a whole training come out as in PyTorch? The model of a recipe, trained by its config in both, with the same batches.

Usage: compare_torch.py tagger|transformer [key=value ...] [--float64] [--seeds 1 2 3] [--steps N]

Both sides begin with the same weights, drawn by nnkit, and get the same batches in the same order, the same rate at every step
and the same clipping; each has its own layers, loss, gradients and optimizer. The dev loss is measured as the recipe does it,
with each side's own model. In float64 nothing but rounding tells the sides apart: the losses must agree to 1e-4, relative to
PyTorch's (dropout, which each side draws for itself, is then off). In float32 rounding grows over thousands of steps, as between
two machines: the final dev loss of each seed must be within 2 %. --steps: so many steps, by the schedule of the whole training.
Exit code 1 where one is not. Seconds are those of the steps alone, of both in turn, on one thread.
"""
import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import nnkit
from nnkit import optim
from nnkit.training import config as configs
from nnkit.training.making import make_optimizer, make_schedules, recipe_file
from nnkit.training.recipe import load_recipe, shipped_folder

AGREE = {np.float64: 1e-4, np.float32: 0.02}  # relative
THREADS = 1


class TorchTagger(torch.nn.Module):
    """recipes/sequence_tagger.py; the filling is left out by packing."""

    def __init__(self, recipe: Any, model: Any):
        super().__init__()
        config, ours = recipe.config.model, model.recurrent
        self.vectors = torch.nn.Embedding(model.vectors.num_embeddings, config.dim)
        self.recurrent = getattr(torch.nn, config.kind)(config.dim, config.hidden, config.layers, batch_first=True,
                                                        dropout=ours.dropout, bidirectional=config.bidirectional)
        self.dropout = torch.nn.Dropout(config.dropout)
        self.output = torch.nn.Linear(config.hidden * (1 + config.bidirectional), len(recipe.labels))

    def forward(self, ids, lengths):
        x = pack_padded_sequence(self.dropout(self.vectors(ids)), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.recurrent(x)[0], batch_first=True)
        return self.output(self.dropout(states))


class TorchTransformer(torch.nn.Module):
    """recipes/transformer_lm.py. What is computed and not learned, or is another's weight, is no parameter of its own."""

    def __init__(self, recipe: Any, model: Any):
        super().__init__()
        config, n_classes = recipe.config.model, recipe.symbols.n_classes
        self.vectors = torch.nn.Embedding(n_classes, config.dim)
        if config.positions == "learned":
            self.positions = torch.nn.Embedding(config.context, config.dim)
        else:
            waves = 10000 ** (torch.arange(0, config.dim, 2, dtype=torch.float64) / config.dim)
            angles = torch.arange(config.context)[:, None] / waves
            self.register_buffer("sines", torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :config.dim])
        self.dropout = torch.nn.Dropout(config.dropout)
        self.layers = torch.nn.ModuleList(
            torch.nn.TransformerEncoderLayer(config.dim, config.heads, config.hidden, config.dropout, config.activation,
                                             batch_first=True, norm_first=config.norm_first) for _ in range(config.layers))
        self.norm = torch.nn.LayerNorm(config.dim) if config.norm_first else None
        self.output = None if config.tied else torch.nn.Linear(config.dim, n_classes)

    def forward(self, symbols):
        length, dim = symbols.shape[1], self.vectors.embedding_dim
        positions = self.positions.weight if hasattr(self, "positions") else self.sines
        x = self.dropout(self.vectors(symbols) * dim ** 0.5 + positions[:length])
        mask = torch.nn.Transformer.generate_square_subsequent_mask(length, dtype=x.dtype)
        for layer in self.layers:
            x = layer(x, mask, is_causal=True)
        x = x if self.norm is None else self.norm(x)
        return x @ self.vectors.weight.T if self.output is None else self.output(x)


@dataclass(frozen=True)
class Task:
    """config: one that ships. twin(recipe, model): PyTorch's model, its parameters under our names, its forward with our inputs.
    inputs(batch): these. Both give logits, (..., classes), of batch.classes."""

    config: str
    twin: Callable[[Any, Any], torch.nn.Module]
    inputs: Callable[[Any], tuple[np.ndarray, ...]]


TASKS = {"tagger": Task("tagger.yaml", TorchTagger, lambda batch: (batch.ids, batch.lengths)),
         "transformer": Task("transformer.yaml", TorchTransformer, lambda batch: (batch.symbols,))}


class Side(NamedTuple):
    """What a library came to: mean training loss of the last steps, dev loss, seconds of its steps."""

    train: float
    dev: float
    seconds: float


class Twin:
    """PyTorch's side: trained as the Trainer trains ours, and called as our model is, where a recipe measures it."""

    def __init__(self, task: Task, recipe: Any, model: Any, dtype: Any):
        self.task, settings = task, recipe.config
        self.module = task.twin(recipe, model).to({np.float32: torch.float32, np.float64: torch.float64}[dtype])
        copy_weights(model, self.module)
        options = settings.optimizer.model_dump(exclude={"type", "groups"})
        name = {"RMSProp": "RMSprop"}.get(settings.optimizer.type, settings.optimizer.type)
        self.optimizer = getattr(torch.optim, name)(self.module.parameters(), **options)
        self.limits = settings.training

    def step(self, batch: Any, values: dict[str, float]) -> float:
        self.module.train()
        for group in self.optimizer.param_groups:
            group.update(values)
        logits = self.module(*map(torch.as_tensor, self.task.inputs(batch)))
        # a class of -100 is left out of the mean, in PyTorch by itself
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, -2), torch.as_tensor(batch.classes).flatten().long())
        self.optimizer.zero_grad()
        loss.backward()
        if self.limits.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.module.parameters(), self.limits.clip_value)
        if self.limits.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.limits.clip_norm)
        self.optimizer.step()
        return loss.item()

    def __call__(self, *inputs: np.ndarray) -> nnkit.Tensor:
        self.module.eval()
        with torch.no_grad():
            return nnkit.Tensor(self.module(*map(torch.as_tensor, inputs)).numpy())


class Ours:
    """nnkit's side, as nnkit/training/loop.py has it."""

    def __init__(self, recipe: Any, model: Any):
        self.recipe, self.model, self.limits = recipe, model, recipe.config.training
        self.optimizer = make_optimizer(recipe.config, model)

    def step(self, batch: Any, values: dict[str, float]) -> float:
        self.model.train()
        self.optimizer.set(**values)
        loss = self.recipe.loss(self.model, batch)
        self.optimizer.zero_grad()
        loss.backward()
        if self.limits.clip_value is not None:
            optim.clip_grad_value(self.model.parameters(), self.limits.clip_value)
        if self.limits.clip_norm is not None:
            optim.clip_grad_norm(self.model.parameters(), self.limits.clip_norm)
        self.optimizer.step()
        return float(loss)

    def __call__(self, *inputs: Any) -> nnkit.Tensor:
        return self.model.eval()(*inputs)


def copy_weights(model: Any, module: torch.nn.Module) -> None:
    """Ours into PyTorch's of the same names: a table as it is, any other matrix transposed, for ours are those of x W."""
    ours, theirs = dict(model.named_parameters()), dict(module.named_parameters())
    if ours.keys() != theirs.keys():
        raise ValueError(f"the twin's parameters are called otherwise: {sorted(ours.keys() ^ theirs.keys())}")
    tables = {f"{name}.weight" for name, part in module.named_modules() if isinstance(part, torch.nn.Embedding)}
    for name, p in ours.items():
        value = p.value if name in tables else p.value.T
        if theirs[name].shape != value.shape:
            raise ValueError(f"{name}: {value.shape} with us, {tuple(theirs[name].shape)} in PyTorch")
        theirs[name].data = torch.tensor(value.copy())


def compare(task: Task, dtype: Any, overrides: list[str], steps: int | None = None) -> tuple[Side, Side]:
    """Train both; ours, then PyTorch's."""
    tree = configs.read_tree(shipped_folder("configs") / task.config, overrides)
    recipe_class = load_recipe(recipe_file(tree))
    settings = configs.validate(tree, recipe_class.Config)
    if settings.training.accumulate > 1 or settings.optimizer.groups:
        raise ValueError("a step of several batches, and groups of parameters, are not compared here")
    recipe: Any = recipe_class(settings)
    with nnkit.default_dtype(dtype):
        model = recipe.build(np.random.default_rng([settings.seed, 0]))
    sides = Ours(recipe, model), Twin(task, recipe, model, dtype)
    schedules, step, losses, seconds = make_schedules(settings), 0, [], [0.0, 0.0]
    for epoch in range(settings.training.epochs):
        units = 0
        for batch in recipe.batches(epoch, np.random.default_rng([settings.seed, 1, epoch])):
            if step == steps:
                break
            values = schedules.at((epoch + min(1.0, units / recipe.units_per_epoch)) / settings.training.epochs, step)
            losses.append([0.0, 0.0])
            for i, side in enumerate(sides):
                before = time.perf_counter()
                losses[-1][i] = side.step(batch, values)
                seconds[i] += time.perf_counter() - before
            step, units = step + 1, units + batch.units
    last = np.mean(losses[-100:], axis=0)
    with nnkit.no_grad():
        dev = [recipe.evaluate(side)["dev_loss"] for side in sides]
    ours, theirs = (Side(float(last[i]), dev[i], seconds[i]) for i in range(2))
    return ours, theirs


def difference(ours: float, theirs: float) -> float:
    """Relative to PyTorch's; infinite where one of them is not finite."""
    return abs(ours - theirs) / abs(theirs) if math.isfinite(ours) and math.isfinite(theirs) else math.inf


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--steps", type=int, help="the default: the whole training")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the config")
    a = parser.parse_args()
    dtype: Any = np.float64 if a.float64 else np.float32
    overrides = [*a.overrides, *(["model.dropout=0"] if a.float64 else [])]
    print(f"PyTorch {torch.__version__}, NumPy {np.__version__}, {np.dtype(dtype).name}, {TASKS[a.task].config} "
          f"{' '.join(overrides)}{f' {a.steps} steps' if a.steps else ''}")
    print(f"{'seed':>4}  {'':6} {'nnkit':>14} {'PyTorch':>14}  relative difference    seconds: nnkit, PyTorch")
    within = True
    torch.set_num_threads(THREADS)
    with threadpool_limits(THREADS):
        for seed in a.seeds or ([1] if a.float64 else [1, 2, 3]):
            ours, theirs = compare(TASKS[a.task], dtype, [*overrides, f"seed={seed}"], a.steps)
            print(f"{seed:4}  train  {ours.train:14.10f} {theirs.train:14.10f}  {difference(ours.train, theirs.train):.2e}"
                  f"{'':15}{ours.seconds:6.1f} {theirs.seconds:6.1f}")
            print(f"{'':4}  dev    {ours.dev:14.10f} {theirs.dev:14.10f}  {difference(ours.dev, theirs.dev):.2e}", flush=True)
            judged = [(ours.dev, theirs.dev)] + ([(ours.train, theirs.train)] if a.float64 else [])
            within &= all(difference(*pair) <= AGREE[dtype] for pair in judged)
    print(f"{'all' if within else 'NOT all'} within {AGREE[dtype]:g}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
