"""What the environment of an arm must have; imported there first, and ends the process that lacks it with one line."""

import importlib.util
import sys

from loop_bench.jobs.parent import SAYS

_NEEDED = ("numpy", "tensorflow")


def missing() -> list[str]:
    """What this environment lacks; nothing is imported for it."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


if _lacking := missing():
    sys.exit(f"{SAYS}has no {' and no '.join(_lacking)}")
