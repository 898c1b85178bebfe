"""Options that say where arms live, and what they stand for."""

from __future__ import annotations

from loop_bench.arms.launch import interpreter
from loop_bench.errors import UsageError
from loop_bench.experiments.experiment import Asked, Flag, Option, WholeNumber
from loop_bench.home import Home, variables
from loop_bench.settings import ARMS

PROCESSES = 8
"""Groups of processes: with fewer, Student's interval of what one process differs from the next is wide."""

AGAINST = Option(
    "--against",
    "before is the factory of --after at this revision of the git repository around the current folder, after the "
    "working tree with its uncommitted changes",
    metavar="REVISION",
)


def _of_arm(arm: str) -> tuple[Option, ...]:
    return (
        Option(f"--{arm}-revision", f"git revision of the code of {arm}", metavar="REVISION"),
        Option(f"--{arm}-python", f"interpreter of {arm}, such as .venv-old/bin/python", metavar="PATH"),
        Option(f"--{arm}-env", f"environment variable of {arm}; may be repeated", metavar="NAME=VALUE", repeated=True),
        Option(f"--{arm}-folder", f"folder that {arm} runs in", metavar="PATH"),
    )


OPTIONS = (
    AGAINST,
    *_of_arm(ARMS[0]),
    *_of_arm(ARMS[1]),
    Option(
        "--isolate",
        "both arms in processes of their own, also where no other option wants it: what sharing one does",
        Flag(),
    ),
    Option(
        "--processes",
        "processes of each arm one after the other, where they have some of their own: what one differs from the next "
        "is part of the interval",
        WholeNumber(1),
        default_words=str(PROCESSES),
    ),
    Option(
        "--link",
        "what a revision has from the working tree, by a link: data that git does not track; may be repeated",
        metavar="PATH",
        repeated=True,
    ),
)


def homes(asked: Asked) -> dict[str, Home]:
    """Where each arm is to live; empty where both live in the process of the run.

    Raises:
        UsageError: options contradict each other, or name an interpreter that is not there.
    """
    found = {arm: _home(asked, arm) for arm in ARMS}
    for arm, home in found.items():
        if home.python:
            interpreter(f"--{arm}-python", home.python)
    if asked["link"] and not any(home.revision for home in found.values()):
        raise UsageError("--link: puts data beside another revision; there is no --against, nor --before-revision")
    if asked["isolate"] or not all(home.is_here for home in found.values()):
        processes = asked["processes"] or PROCESSES
        if asked["rounds"] is not None and asked["rounds"] < processes:
            raise UsageError(f"--rounds {asked['rounds']}: is less than one for each of the processes ({processes})")
        return found
    if asked["processes"]:
        raise UsageError("--processes: is of arms in processes of their own; --isolate puts them there")
    return {}


def differ(asked: Asked) -> bool:
    """Whether the arms are asked to live in different places: then the question is about those, and not about loops."""
    return _home(asked, ARMS[0]) != _home(asked, ARMS[1])


def import_anew(asked: Asked) -> bool:
    """Whether each group of processes has to import TensorFlow: see `Residences.begin`."""
    before, after = (_home(asked, arm) for arm in ARMS)
    return (before.python, before.environment) != (after.python, after.environment)


def _home(asked: Asked, arm: str) -> Home:
    revision = asked[f"{arm}_revision"]
    if arm == ARMS[0] and asked["against"]:
        if revision:
            raise UsageError(f"--against {asked['against']!r}: is the revision of before; so is --before-revision")
        revision = asked["against"]
    return Home(
        revision=revision,
        python=asked[f"{arm}_python"],
        environment=variables(f"--{arm}-env", asked[f"{arm}_env"] or ()),
        folder=asked[f"{arm}_folder"],
    )
