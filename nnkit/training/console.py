"""What a run says to a person: lines on stderr and in train.log, and a bar where stderr is a terminal.

In a notebook lines and bar go to stdout, for what is on stderr looks like a mistake there.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this program, whose command line is then the kernel's and no user's."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Console:
    """say(line) prints a line and keeps it in the log; the bar, if there is one, stays below.

    quiet: nothing but errors is printed; the log has it all. verbose: details are said, too, and are in the log; both together
    are a ValueError. A bar is drawn on a terminal (tqdm's disable=None) and in a notebook, there by ipywidgets if it has them.
    """

    def __init__(self, quiet: bool = False, verbose: bool = False):
        if quiet and verbose:
            raise ValueError("quiet and verbose exclude each other; give one of them")
        self.quiet, self.verbose = quiet, verbose
        self._log: Any = None
        self._early: list[str] = []    # said before there was a folder to keep it
        self._bar: tqdm | None = None
        self._moved = 0.0

    def say(self, line: str) -> None:
        if not self.quiet:
            try:
                tqdm.write(line, file=self._stream())
                self._stream().flush()
            except OSError:  # who read it is gone, as `| tee` is after Ctrl-C; that must not keep the run from being saved
                self.quiet = True
        stamped = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n"
        if self._log is None:
            self._early.append(stamped)
        else:
            self._log.write(stamped)
            self._log.flush()

    def detail(self, line: str) -> None:
        """A line for those who want to know all of it."""
        if self.verbose:
            self.say(line)

    @contextmanager
    def saving(self, path: Path) -> Iterator[Path]:
        """Around the writing of a file: its size, and the seconds it took, are details."""
        began = time.perf_counter()
        yield path
        if self.verbose:
            self.detail(f"saved   {path}   {path.stat().st_size:,} bytes in {time.perf_counter() - began:.3f} s")

    def open_log(self, path: Path) -> None:
        """From now on lines are kept in `path`, with those that were said before."""
        self._log = open(path, "a", encoding="utf-8", newline="\n")
        self._log.writelines(self._early)
        self._early.clear()

    def show_reading(self, done: int, total: int) -> None:
        """A bar of the bytes that have been read; it goes away with the last of them."""
        if self._bar is None and done < total:
            self._bar = self._new_bar(total=total, desc="reading", unit="B")
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            if done >= total:
                self._bar.close()
                self._bar = None

    def start_bar(self, total: float, done: float, unit: str) -> None:
        self._bar = self._new_bar(total=total, initial=done, unit=f" {unit}", smoothing=0.1)

    def wants_bar(self) -> bool:
        """Whether the bar should be moved: where there is one, ten times a second."""
        return self._bar is not None and not self._bar.disable and time.monotonic() - self._moved > 0.1

    def move_bar(self, done: float, text: str) -> None:
        """Set the bar to `done`. Ask `wants_bar` first: after every step this is too often."""
        if self._bar is not None:
            self._moved = time.monotonic()
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(done - self._bar.n)

    def _stream(self) -> TextIO:
        return sys.stdout if in_notebook() else sys.stderr

    def _new_bar(self, **options: Any) -> tqdm:
        kind: type[tqdm] = tqdm
        if in_notebook() and importlib.util.find_spec("ipywidgets"):
            from tqdm.notebook import tqdm_notebook as kind
        return kind(unit_scale=True, file=self._stream(), leave=False, dynamic_ncols=True,
                    disable=True if self.quiet else False if in_notebook() else None, **options)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._log is not None:
            self._log.close()
            self._log = None
