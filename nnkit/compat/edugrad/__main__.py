"""python -m nnkit.compat.edugrad SCRIPT ARGS...: run a program that says `import edugrad`, without a change to it.

The script finds itself as Python would have started it: its arguments, its folder first among the places of modules, its
exit code, its own traceback. Only while it runs do nnkit's modules go by edugrad's names.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType

from nnkit.compat import edugrad
from nnkit.errors import UserError

USAGE = "usage: python -m nnkit.compat.edugrad SCRIPT ARGS..."
MODULES = {"edugrad": edugrad, **{f"edugrad.{name}": vars(edugrad)[name] for name in ("tensor", "ops", "nn", "optim", "data")}}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script that argv names first, with the rest as its arguments; returns the exit code.

    The script's SystemExit is passed on. 2, and a line on stderr, for no script or one without edugrad.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if not words or words[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        with as_a_script(words):
            return run(words[0])
    except UserError as error:
        print(f"nnkit.compat.edugrad: {error}", file=sys.stderr)
        return 2


def run(script: str) -> int:
    """The script's exit code: 0, or 1 with a traceback, or 130 after Ctrl-C. UserError where there is nothing to run."""
    if not Path(script).is_file():
        raise UserError(f"{script}: {'a folder; name the script in it' if Path(script).is_dir() else 'no such file'}")
    if not uses_edugrad(Path(script)):
        raise UserError(f"{script}: no `import edugrad` in it, nor in the files beside it that it imports; "
                        "run it with python itself")
    file = os.path.abspath(script)  # runpy would take this for sys.argv[0] as well, which stays as it was typed
    module = ModuleType("__main__")
    module.__file__ = file
    sys.modules["__main__"], runner = module, sys.modules["__main__"]  # where pickle looks for the script's classes
    try:
        exec(compile(Path(file).read_bytes(), file, "exec"), vars(module))
    except (Exception, KeyboardInterrupt) as error:
        error.__traceback__ = from_script_on(error.__traceback__, file)
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    finally:
        sys.modules["__main__"] = runner
    return 0


@contextmanager
def as_a_script(words: list[str]) -> Iterator[None]:
    """sys.argv, sys.path and the names of modules as the script expects them; afterwards all is as it was."""
    argv, path, real = sys.argv, sys.path, take_edugrad_out()
    sys.argv, sys.path = words, list(path)
    if not getattr(sys.flags, "safe_path", False):  # python -P wants no folder there
        sys.path[:1] = [str(Path(words[0]).resolve().parent)]
    sys.modules.update(MODULES)
    try:
        yield
    finally:
        take_edugrad_out()
        sys.modules.update(real)
        sys.argv, sys.path = argv, path


def take_edugrad_out() -> dict:
    """Remove edugrad and its modules from sys.modules; returns them by name."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "edugrad"}


def uses_edugrad(script: Path) -> bool:
    """Whether the script, or a file beside it that it imports, imports edugrad; True where Python alone can tell."""
    folder = script.resolve().parent
    seen: set[Path] = set()
    unread = [script]
    while unread:
        file = unread.pop()
        seen.add(file)
        try:
            names = imported_names(file)
        except (SyntaxError, ValueError):
            return True  # running it says more
        for name in names - sys.stdlib_module_names:
            spec = None if name == "edugrad" else importlib.util.find_spec(name)
            if spec is None:
                return True  # edugrad, or what is not there: Python will say so, unless the script knows where to look
            packages = [Path(place) for place in spec.submodule_search_locations or []]
            files = [f for package in packages for f in package.rglob("*.py") if package.resolve().parent == folder]
            if not packages and spec.origin and Path(spec.origin).resolve().parent == folder:
                files = [Path(spec.origin)]
            unread += set(files) - seen
    return False


def imported_names(file: Path) -> set[str]:
    """The first parts of the names of modules that a file imports, by statement or by a string."""
    found = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.partition(".")[0] == "edugrad":
            found.add("edugrad")  # importlib.import_module("edugrad")
    return {name.partition(".")[0] for name in found}


def from_script_on(traceback: TracebackType | None, file: str) -> TracebackType | None:
    """A traceback without the runner's own frames in front; None where the script never began to run."""
    while traceback and traceback.tb_frame.f_code.co_filename != file:
        traceback = traceback.tb_next
    return traceback


if __name__ == "__main__":
    sys.exit(main())
