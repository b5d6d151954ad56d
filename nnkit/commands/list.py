"""nnkit list: the recipes, layers, losses, optimizers and operations there are, their arguments, and where they are defined."""

from __future__ import annotations

import argparse
import inspect
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nnkit
from nnkit import losses, nn, ops, optim
from nnkit.commands.common import run
from nnkit.errors import ConfigError, UserError
from nnkit.training.own_code import forget, load_file
from nnkit.training.own_layers import class_of, classes_in, is_own, resolved, split
from nnkit.training.recipe import shipped_folder

ROOT = Path(nnkit.__file__).resolve().parent.parent  # what the paths of nnkit's own files are shown from

Row = tuple[str, str, str]  # name(arguments), a line of help, and FILE:LINE


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="nnkit list", description="List what a config or a program can name.",
                                   epilog="Example: nnkit list layers; of your own: nnkit list layers layers.py")
    made.add_argument("kind", choices=sorted(KINDS), help="what to list")
    made.add_argument("file", nargs="?", metavar="FILE.py[:CLASS]", help="with layers: those of this file, or one of them")
    return run(made, show, argv)


def show(options: argparse.Namespace) -> None:
    if options.file is not None and options.kind != "layers":
        raise ConfigError(f"{options.file}: only layers are listed of a file: nnkit list layers {options.file}")
    for signature, text, where in KINDS[options.kind]() if options.file is None else own_layers(options.file):
        print(f"{signature}\n    {text}{'   ' if text else ''}[{where}]")


def recipes() -> Iterator[Row]:
    for path in sorted(shipped_folder("recipes").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path.stem, text.lstrip('"').splitlines()[0], shown(path)


def layers() -> Iterator[Row]:
    yield from kinds_of(nn, nn.Module)


def own_layers(name: str) -> Iterator[Row]:
    """Of a file of one's own, whose path is relative to the current folder, or of one class in it."""
    if not is_own(name):
        raise ConfigError(f"{name}: expected a file of Python, layers.py, or a class in one, layers.py:Highway")
    forget()
    whole = resolved(name, Path.cwd())
    file, wanted = split(whole)
    try:
        found = [class_of(whole)] if wanted or not os.path.isfile(file) else list(classes_in(load_file(Path(file))).values())
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not found:
        raise UserError(f"{name}: there is no layer in it; a layer is a class that extends nnkit.nn.Module")
    for one in found:
        yield row(one.__name__, one)


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


def kinds_of(module: Any, base: type) -> Iterator[Row]:
    for name in sorted(module.__all__):
        one = getattr(module, name)
        if inspect.isclass(one) and issubclass(one, base) and one is not base:
            yield row(name, one)


def row(name: str, function: Callable, described_by: Any = None, skip: int = 0) -> Row:
    """name(arguments), the first line of the docstring, and the place."""
    described_by = described_by or function
    arguments = [p.replace(annotation=p.empty) for p in list(inspect.signature(function).parameters.values())[skip:]]
    text = inspect.cleandoc(described_by.__doc__ or "")  # its own, and not that of Module
    return f"{name}{inspect.Signature(arguments)}", (text.splitlines() or [""])[0], where(described_by)


def where(one: Any) -> str:
    """FILE:LINE of the statement that defines a class or a function."""
    file = inspect.getsourcefile(one)
    if file is None:
        return "?"
    statement = re.compile(rf"(class|def) {one.__name__}\b")
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return f"{shown(Path(file))}:{next((i for i, line in enumerate(lines, 1) if statement.match(line)), 1)}"


def shown(path: Path) -> str:
    """A path from nnkit's parent folder, the same on every machine; of another file from the current folder."""
    path = path.resolve()
    for folder in (ROOT / "nnkit", shipped_folder("recipes")):
        if path.is_relative_to(folder):
            return path.relative_to(ROOT).as_posix()
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()


KINDS = {"recipes": recipes, "layers": layers, "losses": all_losses, "optimizers": optimizers, "ops": operations}
