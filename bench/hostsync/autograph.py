"""The written line behind a line that AutoGraph has generated: it runs a copy of a function from a temporary file."""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

_GENERATED = str(Path(tempfile.gettempdir()) / "__autograph_generated_file")
_API = "tensorflow.python.autograph.impl.api"


class Written(NamedTuple):
    """A line as its author wrote it."""

    file: str
    line: int
    function: str


def is_generated(file: str) -> bool:
    """Whether AutoGraph has made the file."""
    return file.startswith(_GENERATED)


def written(file: str, line: int) -> Written | None:
    """What a line of a generated file was made from; None where TensorFlow does not say."""
    lines = _lines(file)
    # Not every generated line stands for one of its own; then the one before it does.
    nearest = max((number for number in lines if number <= line), default=None)
    return None if nearest is None else lines[nearest]


@functools.lru_cache(maxsize=1024)
def _lines(file: str) -> dict[int, Written]:
    """The lines of a generated file that are known, from the maps that AutoGraph keeps beside the functions it made."""
    transpiler: Any = getattr(sys.modules.get(_API), "_TRANSPILER", None)
    try:
        factories = [made for cached in list(transpiler._cache._cache.values()) for made in list(cached.values())]
    except AttributeError:  # another version of TensorFlow
        return {}
    for factory in factories:
        if factory.module is not None and factory.module.__file__ == file:
            return {
                location.lineno: Written(origin.loc.filename, origin.loc.lineno, origin.function_name)
                for location, origin in factory.source_map.items()
                if location.filename == file
            }
    return {}
