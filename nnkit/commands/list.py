"""nnkit list: the recipes, layers, losses, optimizers and operations there are, with their arguments."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterator, Sequence

from nnkit import losses, nn, ops, optim
from nnkit.commands.common import run
from nnkit.training.recipe import shipped_folder

Row = tuple[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit list", description="List what a config or a program can name.",
                                   epilog="Example: nnkit list optimizers")
    made.add_argument("kind", choices=sorted(KINDS), help="what to list")
    return run(made, show, argv)


def show(options: argparse.Namespace) -> None:
    for signature, text in KINDS[options.kind]():
        print(f"{signature}\n    {text}")


def recipes() -> Iterator[Row]:
    for path in sorted(shipped_folder("recipes").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path.stem, text.lstrip('"').splitlines()[0]


def layers() -> Iterator[Row]:
    yield from kinds_of(nn, nn.Module)


def optimizers() -> Iterator[Row]:
    yield from kinds_of(optim, optim.Optimizer)


def all_losses() -> Iterator[Row]:
    for name, one in sorted(vars(losses).items()):
        reduction = inspect.signature(one).parameters.get("reduction") if inspect.isfunction(one) else None
        if reduction is not None and reduction.kind is reduction.KEYWORD_ONLY:
            yield row(name, one)


def operations() -> Iterator[Row]:
    for name, one in sorted(ops.all_operations().items()):
        operation = getattr(one, "operation")  # noqa: B009  # of the class that tensor_op made a function
        yield row(name, operation.forward, operation, skip=1)


def kinds_of(module: object, base: type) -> Iterator[Row]:
    for name, one in sorted(vars(module).items()):
        if inspect.isclass(one) and issubclass(one, base) and one is not base:
            yield row(name, one)


def row(name: str, function: Callable, described_by: object = None, skip: int = 0) -> Row:
    """name(arguments), and the first line of the docstring."""
    arguments = [p.replace(annotation=p.empty) for p in list(inspect.signature(function).parameters.values())[skip:]]
    text = inspect.getdoc(described_by or function) or ""
    return f"{name}{inspect.Signature(arguments)}", (text.splitlines() or [""])[0]


KINDS = {"recipes": recipes, "layers": layers, "losses": all_losses, "optimizers": optimizers, "ops": operations}
