"""Which line of the user's code is responsible for what happens right now, and by which of its calls."""

from __future__ import annotations

import ast
import dis
import functools
import importlib.util
import itertools
import linecache
import os
import sys
import sysconfig
import textwrap
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from bench.hostsync.tensorflow_private import AUTOGRAPH, WRAPPERS, generated_lines, is_generated

# Code that reads on behalf of the line that called it. Found without importing: a program may have settings to make
# before it imports Keras.
_PACKAGES = (
    "tensorflow", "keras", "tf_keras", "numpy", "tensorboard", "optree", "pandas", "scipy", "matplotlib", "_pytest",
    "pluggy",
)  # fmt: skip
_TENSORS = ("tensorflow", "numpy")
_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_KINDS_OF_CODE = (("purelib", "platlib"), ("stdlib", "platstdlib"))  # as sysconfig calls their folders
# Methods that are no way to read by themselves; what the source calls tells more.
_SAYS_LITTLE = frozenset({"__array__", "__init__", "__next__", "__getitem__"})


class Frame(NamedTuple):
    """A line and the function that it is in."""

    file: str
    line: int
    function: str


class CallSite(NamedTuple):
    """A line in the user's code, and the function or operator in it that is at work."""

    file: str
    line: int
    route: str | None  # None where neither a library's frame nor the source tells

    @property
    def source(self) -> str:
        """The line itself; empty where the file is not there."""
        return source_line(self.file, self.line)


def source_line(file: str, line: int) -> str:
    """A line of a file; empty where the file is not there."""
    return linecache.getline(file, line).strip()


def call_site() -> CallSite:
    """The innermost frame outside TensorFlow, Keras, NumPy, this package and the standard library.

    TensorBoard, optree, pandas, SciPy, matplotlib and pytest count as libraries too: a line that plots a tensor is more
    use than the line of matplotlib that converts it. In a thread without a frame of the user's it is the library's own
    line.
    """
    frame: FrameType | None = sys._getframe(1)
    entry = ""
    while frame is not None:
        code = frame.f_code
        if not _is_library(code.co_filename):
            here = _written(frame)
            return CallSite(here.file, here.line, _route(entry, code, frame.f_lasti))
        if code.co_name not in WRAPPERS and _is_entry(code.co_filename):
            entry = code.co_name
        frame = frame.f_back
    # A thread that a library has started for itself.
    stack = call_stack()
    outside = [each for each in stack if not each.file.startswith(_tensors())]
    at = (*reader(stack)[-1:], *outside, *stack[-1:], Frame("<unknown>", 0, ""))[0]
    return CallSite(at.file, at.line, entry.strip("_") or None)


def call_stack() -> tuple[Frame, ...]:
    """All frames, the innermost first, without this package's own."""
    frame: FrameType | None = sys._getframe(1)
    found: list[Frame] = []
    while frame is not None:
        if not _is_ours(frame.f_code.co_filename):
            found.append(_written(frame))
        frame = frame.f_back
    return tuple(found)


def reader(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The code of a library, such as Keras, that read for the call site; innermost first, three frames at most.

    Frames of TensorFlow, NumPy and the standard library are left out; nothing is left where the user's code reads.
    """
    folders = tuple(folder for name, folder in _folders().items() if name not in _TENSORS)
    inside = itertools.takewhile(lambda frame: _is_library(frame.file), stack)
    readers = (each for each in inside if each.file.startswith(folders) and each.function not in WRAPPERS)
    return tuple(itertools.islice(readers, 3))


def shorter(file: str) -> str:
    """A path from the current folder where it is inside, and from its package in a library.

    What is shown should not depend on where a project and its environment lie.
    """
    if file.startswith("<"):
        return file
    for name, folder in {**_folders(), "python": f"{sysconfig.get_path('stdlib')}{os.sep}"}.items():
        if file.startswith(folder) and _is_library(file):
            return f"{name}/{file.removeprefix(folder)}"
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


def is_users(file: str) -> bool:
    """Whether a file is the user's code."""
    return not _is_library(file)


@functools.cache
def _folders() -> dict[str, str]:
    """The folder of each of the packages that is installed."""
    found = {}
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            found[name] = f"{Path(spec.origin).parent}{os.sep}"
    return found


@functools.cache
def _tensors() -> tuple[str, ...]:
    return tuple(folder for name, folder in _folders().items() if name in _TENSORS)


@functools.cache
def _is_entry(file: str) -> bool:
    """Whether a library's function in this file says how a line reads: not AutoGraph's machinery, nor threading's."""
    machinery = str(Path(_folders()["tensorflow"]) / AUTOGRAPH)
    return file.startswith(tuple(_folders().values())) and not file.startswith(machinery)


@functools.cache
def _is_ours(file: str) -> bool:
    return file.startswith(_OURS) and not file.startswith(f"{_OURS}examples{os.sep}")  # they stand for a user's code


@functools.cache
def _is_library(file: str) -> bool:
    if _is_ours(file) or file.startswith(("<frozen ", "<__array_function__")):
        return True
    if file.startswith(tuple(_folders().values())):
        return True
    # What others have installed lies inside the standard library's folder.
    paths = sysconfig.get_paths()
    installed, standard = ({f"{paths[name]}{os.sep}" for name in names} for names in _KINDS_OF_CODE)
    return file.startswith(tuple(standard)) and not file.startswith(tuple(installed))


def _written(frame: FrameType) -> Frame:
    """The frame as its author wrote it."""
    file, line, function = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
    if is_generated(file) and (found := _copied_from(file, line)):
        return found
    return Frame(file, line, function)


def _copied_from(file: str, line: int) -> Frame | None:
    """What a line of a generated file was made from; None where TensorFlow does not say."""
    lines = generated_lines(file)
    # Not every generated line stands for one of its own; then the one before it does.
    nearest = max((number for number in lines if number <= line), default=None)
    return None if nearest is None else Frame(*lines[nearest])


def _route(entry: str, code: CodeType, instruction: int) -> str | None:
    """What a line does to read.

    Args:
        entry: the outermost function of a library below it; "" where C reads without one.
        code: that the line is in.
        instruction: of it that is running.
    """
    if entry.startswith("__") and entry not in _SAYS_LITTLE:
        return entry.strip("_")  # float, bool, index, str, format, ...
    called = None if is_generated(code.co_filename) else _called(code, instruction)
    return called or entry.strip("_") or None


@functools.lru_cache(maxsize=4096)
def _called(code: CodeType, instruction: int) -> str | None:
    """The function or operator that an instruction stands for in the source; None where that cannot be told.

    `np.asarray(t)` is C all the way, and `tf.cond` has another name inside TensorFlow.
    """
    position = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    line, end, column, end_column = position or (None,) * 4
    if line is None or end is None or column is None or end_column is None:
        return None
    # Columns count bytes.
    source = [linecache.getline(code.co_filename, number).encode() for number in range(line, end + 1)]
    source[-1] = source[-1][:end_column]
    source[0] = source[0][column:]
    try:
        (statement,) = ast.parse(textwrap.dedent(b"".join(source).decode()).strip()).body
    except (SyntaxError, ValueError):  # no source
        return None
    match statement.value if isinstance(statement, ast.Expr) else statement:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name.strip("_") if name.startswith("__") else name
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            return type(operator).__name__.lower()
        case ast.Subscript():
            return "setitem" if dis.opname[code.co_code[instruction]].startswith("STORE_") else "getitem"
    return None
