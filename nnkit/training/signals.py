"""Ctrl-C, SIGTERM, a closed terminal (SIGHUP): the first asks the loop to finish its step and save, a second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class StopRequest:
    """`with StopRequest(say) as stop:` signals set `stop.signal` (None until then); afterwards the old handlers are back.

    In a thread other than the main one Python delivers no signals, and this does nothing.
    """

    def __init__(self, say: Callable[[str], Any]):
        self.signal: int | None = None
        self._was_here = False  # of several ranks one may have heard of another's first
        self._say = say
        self._old: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                    self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._was_here:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self.signal, self._was_here = number, True
        self._say(f"{signal.Signals(number).name}: finishing this step and saving; once more to stop at once")

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program ended by this signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.signal if self.signal is not None else 0
