"""The process of one trial: `python -m loop_bench.jobs.process MODULE:CLASS TRIAL RESULT`; nothing imports it."""

from __future__ import annotations

import os
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import Any

from loop_bench.errors import UsageError
from loop_bench.jobs.parent import die_first, die_with_parent
from loop_bench.jobs.pool import REFUSED, SAYS
from loop_bench.jobs.trial import Trial, attempt
from loop_bench.writing import write_whole


def main(arguments: list[str]) -> int:
    """Tries what the arguments say, and leaves the result in a file, whole or not at all; gives the exit code.

    A UsageError (no such loop, a full disk) says nothing about what was to be found out: it becomes the last line that
    the process prints, and no result.
    """
    name, text, path = arguments
    trial: Trial[Any] = pkgutil.resolve_name(name).model_validate_json(text)
    try:
        write_whole(Path(path), attempt(trial).model_dump_json() + "\n")
    except UsageError as error:
        traceback.print_exc(file=sys.stdout)  # for who wants more than the line
        print(f"{SAYS}{' '.join(str(error).splitlines())}", flush=True)
        return REFUSED
    return 0


if __name__ == "__main__":
    die_with_parent()  # before TensorFlow starts, which takes seconds
    die_first()
    code = main(sys.argv[1:])
    os._exit(code)  # the result is there: what TensorFlow does when Python ends can only spoil it
