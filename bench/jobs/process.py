"""The process of one trial, `python -m loop_bench.jobs.process MODULE:CLASS TRIAL RESULT`; run and never imported."""

from __future__ import annotations

import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

from loop_bench.jobs.attempt import leave
from loop_bench.jobs.parent import die_first, die_with_parent
from loop_bench.jobs.trial import Trial, attempt


def main(arguments: list[str]) -> int:
    """Runs the trial in the arguments, and writes its result to a file; returns the exit code, see `leave`."""
    name, text, path = arguments
    trial: Trial[Any] = pkgutil.resolve_name(name).model_validate_json(text)
    return leave(Path(path), lambda: attempt(trial).model_dump_json() + "\n")


if __name__ == "__main__":
    die_with_parent()  # before TensorFlow starts, which takes seconds
    die_first()
    code = main(sys.argv[1:])
    os._exit(code)  # skips TensorFlow's shutdown, which may fail: the result is written
