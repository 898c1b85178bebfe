"""What the user can put right, told apart from what is a defect of ours."""


class UsageError(ValueError):
    """Something given by the user is wrong: one line that names it, its value and what would be right.

    Commands print the message and exit with code 2; a traceback would only hide it.
    """
