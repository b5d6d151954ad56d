"""What is said of an error that ends a training, and the exit code that goes with it."""

from __future__ import annotations

import errno
import sys
import traceback

from nnkit.errors import ConfigError, UserError
from nnkit.training.config import format_errors

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)  # what a disk says


def described(error: BaseException) -> tuple[str, int]:
    """What a person should read, and the exit code; for a bug of ours or of a recipe the traceback, and 1."""
    if isinstance(error, UserError):
        text = format_errors(error, sys.stderr.isatty()) if isinstance(error, ConfigError) else f"error: {error}"
        return text, error.exit_code
    if isinstance(error, OSError) and error.errno in FULL:
        return f"error: {error.strerror}; what was saved before is whole: make room, then --resume the run", 1
    if isinstance(error, MemoryError):
        return f"error: not enough memory ({error}); make the model, the step or the data smaller", 1
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what was saved before is whole", 130
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return f"ended with code {error.code}; what was saved before is whole", error.code
    return "".join(traceback.format_exception(error)).rstrip(), 1
