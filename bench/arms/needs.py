"""Checks an arm's environment for required packages; imported there first, it exits with one line if one is missing."""

import importlib.util
import sys

from loop_bench.jobs.parent import SAYS

_missing = [name for name in ("numpy", "tensorflow") if importlib.util.find_spec(name) is None]
if _missing:
    sys.exit(f"{SAYS}has no {' and no '.join(_missing)}")
