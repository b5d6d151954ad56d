"""The folder of one run: everything a training writes, under a name of its own, so that no run destroys another.

    config.yaml  config.source.yaml  code/  run.json  metrics.jsonl  history.csv  train.log  loss.png  loss.svg
    checkpoints/

A rerun gets the next number. A folder that was asked for by name is refused when it is not empty; where it is to be
replaced, the earlier run stays beside it until the new one has a checkpoint to show.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nnkit.errors import ConfigError, UserError
from nnkit.files import replacing
from nnkit.training.files import name_mistake, plain

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1  # of run.json
OUR_FILES = {"config.yaml", "config.source.yaml", "code", "run.json", "metrics.jsonl", "history.csv", "train.log",
             "loss.png", "loss.svg", "checkpoints"}
HALF_WRITTEN = re.compile(r"\..+\.[0-9]+(\.prev)?\.tmp")  # what a process leaves that was killed while it wrote a file
_ASIDE = re.compile(r".*\.replaced(-[0-9]+)?")


def list_runs(root: str | os.PathLike[str] = "runs") -> list[RunDirectory]:
    """The runs directly in `root`, newest start first; none where `root` is missing."""
    root = Path(root)
    folders = [folder for folder in (root.iterdir() if root.is_dir() else [])
               if (folder / "run.json").is_file() and not _ASIDE.fullmatch(folder.name)]
    return [RunDirectory(folder) for folder in sorted(folders, key=lambda f: (_started(f), f.name), reverse=True)]


class RunDirectory:
    """One run's folder. `create` makes a new one, `open` finds one that exists; it can be used wherever a path can."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.replaced: Path | None = None  # where the run that this one replaces waits for commit_replacement()

    @classmethod
    def create(cls, name: str, root: str | os.PathLike[str] = "runs", out: str | os.PathLike[str] | None = None,
               force: bool = False) -> RunDirectory:
        """Make `root/<name>-<number>/`, or `out` where it is given, with checkpoints/ and a first run.json ("running").

        ConfigError where `out` holds something already: without `force`, anything; with it, anything but a run.
        UserError where the folder cannot be made or written to: before a training has spent any time.
        """
        try:
            run = cls._numbered(name, Path(root)) if out is None else cls._chosen(Path(out), force)
            try:
                if out is None:
                    os.mkdir(run.path("checkpoints"))
                started = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
                run.write_json("run.json", {"format": FORMAT, "status": "running", "started": started})
            except BaseException:
                shutil.rmtree(run.folder, ignore_errors=True)
                run.abandon()
                raise
        except OSError as error:
            where = error.filename or out or root
            raise UserError(f"{where}: cannot make the run's folder there ({error.strerror or error}); "
                            "go to a folder you may write to, or give one with --out") from error
        return run

    @classmethod
    def _numbered(cls, name: str, root: Path) -> RunDirectory:
        check_name(name)
        os.makedirs(root, exist_ok=True)
        numbered = re.compile(re.escape(name) + "-([0-9]+)")
        taken = [int(match[1]) for match in map(numbered.fullmatch, os.listdir(root)) if match]
        number = max(taken, default=0) + 1
        while True:
            try:
                os.mkdir(root / f"{name}-{number:03d}")  # the lock: of many processes one succeeds, the others go on
                return cls(root / f"{name}-{number:03d}")
            except FileExistsError:
                number += 1

    @classmethod
    def _chosen(cls, out: Path, force: bool) -> RunDirectory:
        out = out.resolve() if out.is_symlink() else out
        run = cls(out)
        if out.exists() and not out.is_dir():
            raise ConfigError(f"{out}: is a file, not a folder; give another --out, or leave it out")
        if out.is_dir() and any(out.iterdir()):
            whole = {entry.name for entry in out.iterdir() if not HALF_WRITTEN.fullmatch(entry.name)}
            is_run = (out / "run.json").is_file() or whole <= OUR_FILES
            if not is_run:  # --force on a home folder must not delete it
                raise ConfigError(f"{out}: is not empty and is no run of nnkit, so it is not replaced; "
                                  "give another --out, or leave it out")
            if not force:
                raise ConfigError(_refusal(out))
            if Path.cwd().is_relative_to(out.resolve()):
                raise ConfigError(f"{out}: is the current folder or holds it; go elsewhere to replace it")
            with run.claimed():
                run.replaced = _unused(out)
                os.rename(out, run.replaced)
        try:
            os.makedirs(out, exist_ok=True)
            os.mkdir(out / "checkpoints")  # the lock, where two processes ask for the same empty folder
        except FileExistsError:
            raise ConfigError(_refusal(out)) from None
        except OSError:
            run.abandon()
            raise
        return run

    @classmethod
    def open(cls, run: str | os.PathLike[str], root: str | os.PathLike[str] = "runs") -> RunDirectory:
        """The run at a path, with an id (`sgns-003`, in `root`), or `@last`: the newest by start in `root`.

        UserError lists the runs there are where it is none of these.
        """
        text = os.fspath(run)
        existing = list_runs(root)
        if text == "@last" and existing:
            return existing[0]
        for folder in (Path(text), Path(root) / text):
            if text and (folder / "run.json").is_file():
                return cls(folder)
        ids = ", ".join(other.id for other in existing[:10])
        more = f" and {len(existing) - 10} more" if len(existing) > 10 else ""
        there = f"{root}/ has {ids}{more}" if existing else f"{root}/ has none yet; nnkit train CONFIG makes one"
        what = "is a folder without a run.json" if text and Path(text).is_dir() else "no such run"
        raise UserError(f"{text or repr(text)}: {what}; {there}")

    @property
    def id(self) -> str:
        """The folder's own name, `sgns-003`."""
        return self.folder.name or self.folder.resolve().name

    @property
    def started(self) -> float:
        """Seconds since 1970 of the run's start."""
        return _started(self.folder)

    def path(self, name: str) -> Path:
        """Where the file or folder `name` of this run is, or will be."""
        return self.folder / name

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Write `data` to the file `name` in one piece. NumPy numbers are converted, NaN and infinity become null."""
        text = json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        with replacing(self.path(name)) as file:
            # an argument that is not UTF-8 holds lone surrogates; "\udc80" is also how JSON writes one
            file.write(text.encode("utf-8", "backslashreplace"))

    def read_run(self) -> dict[str, Any]:
        """What run.json says. UserError where it is missing or damaged."""
        path = self.path("run.json")
        try:
            with open(path, encoding="utf-8", newline="") as file:
                data = json.load(file)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); is {self.folder} a run?") from error
        except ValueError as error:
            raise UserError(f"{path}: is damaged ({error})") from error
        if not isinstance(data, dict):
            raise UserError(f"{path}: is damaged (not a JSON object)")
        return data

    def update_run(self, **fields: Any) -> None:
        """Set these fields of run.json and keep the others; a field that is set to None goes."""
        self.write_json("run.json", {k: v for k, v in {**self.read_run(), **fields}.items() if v is not None})

    def check_writable(self) -> None:
        """UserError where nothing can be written here; for a resumed run, before it spends any time."""
        try:
            with replacing(self.path(".writable")):
                pass
            self.path(".writable").unlink()
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be written to ({error.strerror or error})") from error

    def clear_away(self) -> None:
        """Delete what processes left half written that were killed. Only who has `claimed` the run may ask for it."""
        for path in self.folder.rglob(".*.tmp"):
            if HALF_WRITTEN.fullmatch(path.name):
                path.unlink(missing_ok=True)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Held by the process that trains here, and gone with it however it ends: UserError where there is another one.

        Where the system or its files know no locks (Windows, some network folders) it does nothing.
        """
        if fcntl is None:
            yield
            return
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{self.folder}: another process is training here; wait for it, or stop it first") from None
            except OSError:
                pass
            yield
        finally:
            os.close(folder)

    def commit_replacement(self) -> None:
        """Delete the run that this one replaces. Call it after the first successful checkpoint; again does nothing."""
        if self.replaced is not None:
            shutil.rmtree(self.replaced, ignore_errors=True)
            self.replaced = None

    def abandon(self) -> None:
        """Put the replaced run back, in place of this one. Does nothing where none is waiting."""
        if self.replaced is None:
            return
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            os.rename(self.replaced, self.folder)
        except OSError as error:
            raise UserError(f"{self.folder}: the earlier run could not be put back ({error.strerror or error}); "
                            f"it is whole, at {self.replaced}") from error
        self.replaced = None

    def __fspath__(self) -> str:
        return os.fspath(self.folder)

    def __str__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.folder)!r})"


def check_name(name: str) -> None:
    """ConfigError where runs cannot be called so, on whatever system they are read later."""
    if mistake := name_mistake(name):
        raise ConfigError(f"name: {mistake}")


def _unused(out: Path) -> Path:
    """A free name beside `out`: a process that was killed may have left one, and its run is not ours to delete."""
    number = 1
    while (aside := out.with_name(f"{out.name}.replaced" + (f"-{number}" if number > 1 else ""))).exists():
        number += 1
    return aside


def _run_json(folder: Path) -> dict[str, Any]:
    try:
        return RunDirectory(folder).read_run()
    except UserError:
        return {}


def _started(folder: Path) -> float:
    """Seconds since 1970 of the run's start; where run.json does not say, of the last change to its folder."""
    try:
        started = datetime.fromisoformat(_run_json(folder)["started"].replace("Z", "+00:00"))
        return (started if started.tzinfo else started.replace(tzinfo=timezone.utc)).timestamp()
    except (KeyError, AttributeError, TypeError, ValueError):
        return folder.stat().st_mtime


def _refusal(out: Path) -> str:
    run = _run_json(out)
    status = str(run.get("status") or "broken")
    facts = [datetime.fromtimestamp(_started(out)).strftime("%Y-%m-%d %H:%M")]
    best = run.get("best")
    if isinstance(best, dict) and isinstance(best.get("value"), (int, float)):
        facts.append(f"{best.get('metric')} {best['value']:.4f}")
    article = "an" if status[0] in "aeiou" else "a"
    text = (f"{out} already holds {article} {status} run ({', '.join(facts)})\n"
            f"  continue it: nnkit train --resume {out}    new run: leave out --out    replace it: --force")
    left = out.with_name(f"{out.name}.replaced")
    return text + (f"\n  the run it was to replace is still at {left}" if left.exists() else "")
