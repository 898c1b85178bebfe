"""Errors that the user can put right, told apart from defects of ours."""


class UsageError(ValueError):
    """Something given by the user is wrong: one line that names it, its value and what would be right.

    Commands print the message and exit with code 2; a traceback would only hide it.
    """


class InvalidRecordError(UsageError):
    """A file is there and holds no whole record of this version's schema.

    A gate must not take it for wrong use: a run that was killed leaves such a file.
    """


class HostSyncError(RuntimeError):
    """The host reads a tensor where it must not, or more often than it may."""


class ProfilerError(RuntimeError):
    """TensorFlow's profiler cannot be had, or has left no trace."""


class HostSyncWarning(RuntimeWarning):
    """The host reads a tensor where it should not, or reads cannot all be seen."""


def add_note(error: BaseException, note: str) -> None:
    """Adds a line to an error, which tracebacks show below it from Python 3.11, and pytest from any (PEP 678)."""
    error.__notes__ = [*getattr(error, "__notes__", ()), note]
