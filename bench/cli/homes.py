"""Options for the environment of each arm (revision, interpreter, variables, folder), and the Homes they describe."""

from __future__ import annotations

from loop_bench.arms.launch import interpreter
from loop_bench.errors import UsageError
from loop_bench.experiments.experiment import Asked, Flag, Option, WholeNumber
from loop_bench.home import Home, variables
from loop_bench.settings import ARMS

PROCESSES = 8
"""Default groups of processes: with fewer, Student's interval for the variation between processes is wide."""

AGAINST = Option(
    "--against",
    "compare the working tree, uncommitted changes included, with this git revision of the repository around the "
    "current folder: before is the factory of --after at the revision",
    metavar="REVISION",
)


def _of_arm(arm: str) -> tuple[Option, ...]:
    return (
        Option(f"--{arm}-revision", f"git revision of the code of {arm}", metavar="REVISION"),
        Option(f"--{arm}-python", f"interpreter of {arm}, such as .venv-old/bin/python", metavar="PATH"),
        Option(f"--{arm}-env", f"environment variable of {arm}; may be repeated", metavar="NAME=VALUE", repeated=True),
        Option(f"--{arm}-folder", f"working folder of {arm}", metavar="PATH"),
    )


OPTIONS = (
    AGAINST,
    *_of_arm(ARMS[0]),
    *_of_arm(ARMS[1]),
    Option(
        "--isolate",
        "run each arm in processes of its own even if no other option requires it: shows what sharing a process does",
        Flag(),
    ),
    Option(
        "--processes",
        "number of consecutive processes of each arm, if arms have processes of their own; the variation between them "
        "is part of the interval",
        WholeNumber(1),
        default_words=str(PROCESSES),
    ),
    Option(
        "--link",
        "path linked from the working tree into a revision, such as data that git does not track; may be repeated",
        metavar="PATH",
        repeated=True,
    ),
)


def homes(asked: Asked) -> dict[str, Home]:
    """The environment of each arm; empty: both arms run in the process of the run.

    Raises:
        UsageError: options contradict each other, or name an interpreter that does not exist.
    """
    by_arm = {arm: _home(asked, arm) for arm in ARMS}
    for arm, home in by_arm.items():
        if home.python:
            interpreter(f"--{arm}-python", home.python)
    if asked["link"] and not any(home.revision for home in by_arm.values()):
        raise UsageError(
            "--link: links data into another revision; needs --against, --before-revision or --after-revision as well"
        )
    if asked["isolate"] or not all(home.is_here for home in by_arm.values()):
        processes = asked["processes"] or PROCESSES
        if asked["rounds"] is not None and asked["rounds"] < processes:
            raise UsageError(f"--rounds {asked['rounds']}: needs at least one round for each of {processes} processes")
        return by_arm
    if asked["processes"]:
        raise UsageError("--processes: only for arms in processes of their own; add --isolate")
    return {}


def differ(asked: Asked) -> bool:
    """Whether the environments of the arms differ: the run then compares environments, not loops."""
    return _home(asked, ARMS[0]) != _home(asked, ARMS[1])


def import_anew(asked: Asked) -> bool:
    """Whether each group of processes must import TensorFlow anew; see `Residences.begin`."""
    before, after = (_home(asked, arm) for arm in ARMS)
    return (before.python, before.environment) != (after.python, after.environment)


def _home(asked: Asked, arm: str) -> Home:
    revision = asked[f"{arm}_revision"]
    if arm == ARMS[0] and asked["against"]:
        if revision:
            raise UsageError(f"--against {asked['against']!r}: sets the revision of before; remove --before-revision")
        revision = asked["against"]
    return Home(
        revision=revision,
        python=asked[f"{arm}_python"],
        environment=variables(f"--{arm}-env", asked[f"{arm}_env"] or ()),
        folder=asked[f"{arm}_folder"],
    )
