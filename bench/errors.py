"""Errors that the user can correct, as opposed to defects of the harness."""


class UsageError(ValueError):
    """Input of the user is wrong; the message is one line that names it, its value and what would be right.

    Commands print the message and exit with code 2; a traceback would only hide it.
    """


class InvalidRecordError(UsageError):
    """A file exists, but holds no complete record of this version's schema.

    A gate must not treat it as wrong usage: a run that was killed leaves such a file.
    """


class HostSyncError(RuntimeError):
    """The host reads a tensor where it must not, or more often than it may."""


class ProfilerError(RuntimeError):
    """TensorFlow's profiler is not available, or has left no trace."""


class HostSyncWarning(RuntimeWarning):
    """The host reads a tensor where it should not, or some reads cannot be recorded."""


def add_note(error: BaseException, note: str) -> None:
    """Adds a note to an error, which tracebacks show below it from Python 3.11, and pytest from any (PEP 678)."""
    error.__notes__ = [*getattr(error, "__notes__", ()), note]
