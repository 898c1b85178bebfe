"""The process of one trial in an environment in which this package is not installed; run and never imported.

    LAUNCH loop_bench.jobs.elsewhere MODULE:FUNCTION TRIAL PATHS RESULT

The function is the trial's work; TRIAL is a `LoopTrial` as JSON, and PATHS are the folders in which the user's modules
are looked up. It needs NumPy and TensorFlow, and only the core of this package.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pkgutil
import sys
import types
from pathlib import Path
from typing import Any

from loop_bench.jobs.aside import set_aside
from loop_bench.jobs.attempt import Attempt, leave
from loop_bench.jobs.parent import die_first, die_with_parent
from loop_bench.loop import LoopSpec


def main(arguments: list[str]) -> int:
    """Runs the trial in the arguments, and writes its result to a file; returns the exit code, see `leave`."""
    name, text, paths, path = arguments
    fields = json.loads(text)
    spec = LoopSpec(fields["preset"], fields["seed"], fields["options"])
    trial = types.SimpleNamespace(**fields, spec=spec)
    work = pkgutil.resolve_name(name)
    set_aside(trial.factory, [*filter(None, paths.split(os.pathsep))])

    def result() -> str:
        ended = dataclasses.asdict(Attempt.of(lambda: work(trial)))
        return json.dumps(_plain({**ended, "time_limit": trial.time_limit}), allow_nan=False) + "\n"

    return leave(Path(path), result)


def _plain(value: Any) -> Any:
    """A value as in the JSON of results, where NaN and infinities are strings, because JSON has no numbers for them."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


if __name__ == "__main__":
    die_with_parent()
    die_first()
    code = main(sys.argv[1:])
    os._exit(code)  # skips TensorFlow's shutdown, which may fail: the result is written
