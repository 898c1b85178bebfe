"""What the environment of an arm must have; imported there first, and ends the process that lacks it with one line."""

import importlib.util
import sys

from loop_bench.jobs.parent import SAYS

_missing = [name for name in ("numpy", "tensorflow") if importlib.util.find_spec(name) is None]
if _missing:
    sys.exit(f"{SAYS}has no {' and no '.join(_missing)}")
