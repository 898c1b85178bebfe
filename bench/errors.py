"""Errors that the user can put right, told apart from defects of ours."""


class UsageError(ValueError):
    """Something given by the user is wrong: one line that names it, its value and what would be right.

    Commands print the message and exit with code 2; a traceback would only hide it.
    """


class InvalidRecordError(UsageError):
    """A file is there and holds no whole record of this version's schema.

    A gate must not take it for wrong use: a run that was killed leaves such a file.
    """
