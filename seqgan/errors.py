"""Errors that the user can correct, as opposed to bugs."""


class InputError(ValueError):
    """Invalid input from the user; the message, in one line, names the input, its value and what is valid.

    Commands print the message without a traceback and exit with code 2.
    """


class NonFiniteUpdatesError(RuntimeError):
    """Too many updates in a row were skipped as not finite, so that further training would change nothing."""
