"""Which line of the user's code is responsible for what happens right now."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import keras
import numpy
import tensorflow

import bench

_LIBRARIES = tuple(f"{Path(package.__file__ or '').parent}{os.sep}" for package in (tensorflow, keras, numpy, bench))
_EXAMPLES = f"{_LIBRARIES[-1]}examples{os.sep}"  # they stand for a user's code
# What TensorFlow puts around its public functions: no name that a user has written.
_WRAPPERS = frozenset({"error_handler", "op_dispatch_handler", "wrapper"})


class CallSite(NamedTuple):
    """A line in the user's code, and the library's function that it called."""

    file: str
    line: int
    entry: str | None  # None when no Python function of a library lies between


def call_site() -> CallSite:
    """The innermost frame outside TensorFlow, Keras, NumPy and this harness."""
    frame: FrameType | None = sys._getframe(1)
    entry = None
    while frame is not None and _is_library(frame.f_code.co_filename):
        name = frame.f_code.co_name
        # This package's own frames are no entry that the user called.
        if name not in _WRAPPERS and not frame.f_code.co_filename.startswith(_LIBRARIES[-1]):
            entry = name
        frame = frame.f_back
    if frame is None:
        return CallSite("<unknown>", 0, entry)
    return CallSite(frame.f_code.co_filename, frame.f_lineno, entry)


def _is_library(file: str) -> bool:
    return (file.startswith(_LIBRARIES) and not file.startswith(_EXAMPLES)) or file.startswith("<")
