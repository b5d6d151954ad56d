"""Python files of the user's own that a config names: its recipe, its layers. Each is run once for a config, and kept in the run.

A file may import others that lie beside it, by their plain names. Two folders may each have a layers.py, and sys.modules has
room for one of that name. So while a file is run, the modules of its own folder stand there, and none of the other folders'.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from types import ModuleType

from nnkit.errors import ConfigError

_folders: dict[str, dict[str, ModuleType]] = {}  # what was loaded for a config: each folder's modules by their names


def forget() -> None:
    """Let every file be run anew: between two trainings of one program it may have been edited, or be another one."""
    for modules in _folders.values():
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
    _folders.clear()
    importlib.invalidate_caches()  # of what lies in which folder


def load_file(path: Path) -> ModuleType:
    """The module of a file. It is not run again where something imported it already, under whatever name.

    So a class that a recipe imports is the same one as that which a config names. ConfigError as `run_file`.
    """
    loaded = [module for modules in _folders.values() for module in modules.values()]
    for module in [*loaded, *list(sys.modules.values())]:
        origin = getattr(module, "__file__", None)
        if origin and os.path.basename(origin) == path.name and os.path.realpath(origin) == os.path.realpath(path):
            return module
    # the plain name, by which files beside it import it, but where Python or a library has a module of that name
    known = sys.modules.get(path.stem)
    is_free = known is None or any(module is known for module in loaded)
    return run_file(path, path.stem if is_free else f"nnkit_own_{path.stem}")


def run_file(path: Path, name: str) -> ModuleType:
    """Run a file as the module `name`; what lies beside it can be imported by it, and only while it is run.

    ConfigError names the file and the line of an error.
    """
    folder = os.path.realpath(path.parent)
    own = _folders.setdefault(folder, {})
    others = {n: module for other, modules in _folders.items() if other != folder
              for n, module in modules.items() if sys.modules.get(n) is module}
    for hidden in others:
        del sys.modules[hidden]
    sys.modules.update(own)
    before = set(sys.modules)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks up the annotations of a class in its module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
        own[name] = module
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        text = error.msg if isinstance(error, SyntaxError) else error  # the place stands in front already
        raise ConfigError(f"{path}:{line_of(error, path) or 1}: {type(error).__name__}: {text}") from error
    finally:
        sys.path.remove(str(path.parent))
        own.update({n: sys.modules[n] for n in modules_in(path.parent) if n not in before and n in sys.modules})
        sys.modules.update(others)
    return module


def modules_in(folder: Path) -> dict[str, Path]:
    """Name and file of the loaded modules that an import finds in `folder`; nnkit itself is none, in a checkout's folder."""
    found = {}
    for name, module in {**sys.modules, **_folders.get(os.path.realpath(folder), {})}.items():
        origin = getattr(module, "__file__", None)
        if not origin or name.split(".")[0] == "nnkit":
            continue
        place = folder.joinpath(*name.split("."))
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file() and os.path.realpath(file) == os.path.realpath(origin):
                found[name] = file
    return found


def files_to_keep(recipe: Path, others: Iterable[Path] = ()) -> dict[str, Path]:
    """What a run must keep to be repeated, by the names that it gets there: the recipe's file first, and what it imports.

    What lies in the recipe's folder or below keeps its path from there. Any other folder gets a name beside the recipe, so
    that no two files called layers.py meet; a file's own imports go with it.
    """
    root = recipe.parent
    kept = {recipe.name: recipe} | {file.relative_to(root).as_posix(): file for file in sorted(modules_in(root).values())}
    folders: dict[Path, str] = {}
    for path in others:
        if any(os.path.realpath(file) == os.path.realpath(path) for file in kept.values()):
            continue
        folder = path.parent
        if folder not in folders:
            folders[folder] = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else _free(folder.name, kept)
        for file in [path, *sorted(modules_in(folder).values())]:
            kept[(PurePosixPath(folders[folder]) / file.relative_to(folder).as_posix()).as_posix()] = file
    return kept


def _free(name: str, kept: Iterable[str]) -> str:
    """`name`, or with a number behind it where something that is kept has it."""
    taken = {PurePosixPath(other).parts[0].lower() for other in kept}  # some file systems do not tell a from A
    wanted = name or "layers"  # that of / is empty
    names = itertools.chain([wanted], (f"{wanted}-{number}" for number in itertools.count(2)))
    return next(name for name in names if name.lower() not in taken)


def line_of(error: BaseException, path: Path) -> int:
    """The last line of `path` that the error passed through; 0 where it did not."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
