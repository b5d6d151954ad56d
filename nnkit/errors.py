"""What a user can get wrong ends in one of these: a line that says what, where and the way out, and an exit code.

Every command catches `UserError` and prints it without a traceback; anything else is a bug of ours and keeps its traceback.
"""


class UserError(Exception):
    """A mistake that the user can mend. The text is the whole message; `exit_code` is the command's."""

    exit_code = 1


class DataError(UserError):
    """A file of data that is missing, empty, damaged or not what the config says."""


class ConfigError(UserError):
    """A config or a command line that cannot be used. One line for each mistake: `FILE:LINE:COL: what; the way out`."""

    exit_code = 2


class Diverged(UserError):
    """A loss or a parameter became NaN or infinite."""

    exit_code = 3
