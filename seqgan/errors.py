"""What the user can put right, told apart from what is a defect of ours."""


class InputError(ValueError):
    """Something given by the user is wrong: one line that names it, its value and what would be right.

    Commands print the message and exit with code 2; a traceback would only hide it.
    """


class NonFiniteUpdatesError(RuntimeError):
    """So many updates in a row were skipped as not finite that going on would train nothing."""
