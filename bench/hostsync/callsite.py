"""Finds the line of the user's code that is responsible for a read or a trace, and the call in it that reads."""

from __future__ import annotations

import ast
import dataclasses
import dis
import functools
import itertools
import linecache
import sys
import textwrap
from types import CodeType, FrameType
from typing import NamedTuple

from loop_bench.hostsync.tensorflow_private import AUTOGRAPH, READERS, WRAPPERS, generated_lines, is_generated
from loop_bench.source import Frame, is_installed, is_ours, is_users, source_line

# Methods whose names do not say how a line reads; the call in its source says more.
_UNSPECIFIC = frozenset({"__array__", "__init__", "__next__", "__getitem__"})
_DISPLAYED = "display"  # the value of a notebook's or prompt's last expression
_LIBRARY_FRAMES = 3
_DATACLASS = "__create_fn__"  # prefix of methods that dataclasses generate; `==` and `repr` read in them


class CallSite(NamedTuple):
    """A line of the user's code that reads a tensor, its route, and the library that reads for it."""

    file: str
    line: int
    route: str | None  # function or operator that reads; None: neither a library's frame nor the source shows it
    library: Frame | None = None  # innermost code of a library that reads for the line; None: the line reads itself

    @property
    def source(self) -> str:
        """Source of the line; empty if the file is missing."""
        return source_line(self.file, self.line)


def call_site() -> CallSite:
    """The call site of the current thread: the innermost frame outside installed packages and the standard library.

    In a thread without a frame of the user's code it is the library's own line.
    """
    frame: FrameType | None = sys._getframe(1)
    entry, library = "", None
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        if is_generated(file):  # a copy by AutoGraph may be of a library's function
            file = as_written(frame).file
        if is_users(file) and not _is_dataclass_method(frame):
            original = as_written(frame)
            return CallSite(original.file, original.line, _route(entry, frame), library)
        if code.co_name not in WRAPPERS and _is_entry(file):
            entry = code.co_name
            if library is None and not _reads(file):
                library = as_written(frame)
        frame = frame.f_back
    # A thread that a library has started for itself.
    stack = call_stack()
    outside = [stacked for stacked in stack if not _reads(stacked.file)]
    best = (*library_frames(stack)[-1:], *outside, *stack[-1:], Frame("<unknown>", 0, ""))[0]
    return CallSite(best.file, best.line, entry.strip("_") or None)


def call_stack() -> tuple[Frame, ...]:
    """All frames of the current thread, innermost first, without those of this package."""
    frame: FrameType | None = sys._getframe(1)
    frames: list[Frame] = []
    while frame is not None:
        if not is_ours(frame.f_code.co_filename):
            frames.append(as_written(frame))
        frame = frame.f_back
    return tuple(frames)


def library_frames(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Frames of libraries, such as Keras, that read for the call site; innermost first, at most three.

    Frames of TensorFlow, NumPy and the standard library are left out; empty if the user's code reads itself.
    """
    inside = itertools.takewhile(lambda frame: not is_users(frame.file), stack)
    frames = (
        frame
        for frame in inside
        if is_installed(frame.file) and not _reads(frame.file) and frame.function not in WRAPPERS
    )
    return tuple(itertools.islice(frames, _LIBRARY_FRAMES))


def as_written(frame: FrameType) -> Frame:
    """A frame's file, line and function in the original source, where AutoGraph runs a copy from a file of its own."""
    file, line = frame.f_code.co_filename, frame.f_lineno
    copied = _copied_from(file, line) if is_generated(file) else None
    return copied or Frame(file, line, frame.f_code.co_name)


def as_written_in(file: str, line: int) -> tuple[str, int]:
    """File and line in the original source, where AutoGraph runs a copy of it."""
    copied = _copied_from(file, line) if is_generated(file) else None
    return (copied.file, copied.line) if copied else (file, line)


@functools.lru_cache(maxsize=4096)
def _is_entry(file: str) -> bool:
    """Whether a function in this file can be the route of a read: a library's, but not ours nor AutoGraph's."""
    return is_installed(file) and not is_ours(file) and not file.startswith(AUTOGRAPH)


@functools.lru_cache(maxsize=4096)
def _reads(file: str) -> bool:
    """Whether a file is part of TensorFlow or NumPy, which every read passes."""
    return file.startswith(READERS)


def _is_dataclass_method(frame: FrameType) -> bool:
    """Whether a frame runs a method that dataclasses have generated."""
    code = frame.f_code
    if sys.version_info < (3, 11):  # code has no qualified name before Python 3.11
        is_writable = code.co_filename == "<string>" and code.co_name.startswith("__")
        return is_writable and dataclasses.is_dataclass(frame.f_locals.get("self"))
    return code.co_qualname.startswith(_DATACLASS)


def _copied_from(file: str, line: int) -> Frame | None:
    """The original of a line of a generated file; None if TensorFlow does not know it."""
    lines = generated_lines(file)
    # Not every generated line has an original; the nearest line before it is used then.
    nearest = max((number for number in lines if number <= line), default=None)
    return None if nearest is None else Frame(*lines[nearest])


def _route(entry: str, frame: FrameType) -> str | None:
    """The route by which a line reads: a function, a method or an operator; None if it is unknown.

    Args:
        entry: the outermost library function that the line called; "" if it called C code directly.
        frame: frame of the line.
    """
    code, instruction = frame.f_code, frame.f_lasti
    if entry.startswith("__") and entry not in _UNSPECIFIC:
        return entry.strip("_")  # float, bool, index, str, format, ...
    if _displays(code, instruction):
        return _DISPLAYED
    called = None if is_generated(code.co_filename) else _called(_node(frame), code, instruction)
    return called or entry.strip("_") or None


def _called(node: ast.AST | None, code: CodeType, instruction: int) -> str | None:
    """The function or operator that an instruction calls, by the source; None if it is unknown.

    The stack alone does not show it: `np.asarray(t)` runs only C code, and `tf.cond` has another name in TensorFlow.
    """
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name.strip("_") if name.startswith("__") else name
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            return type(operator).__name__.lower()
        case ast.Subscript():
            return "setitem" if dis.opname[code.co_code[instruction]].startswith("STORE_") else "getitem"
    return None


def _node(frame: FrameType) -> ast.AST | None:
    """The syntax tree's node that a frame is running; None if it is unknown."""
    if sys.version_info < (3, 11):
        try:
            import executing  # finds the node by its instructions: code has no positions before Python 3.11
        except ImportError:  # an arm's own environment may lack our dependencies
            return None
        return executing.Source.executing(frame).node
    return _node_at(frame.f_code, frame.f_lasti)


@functools.lru_cache(maxsize=4096)
def _node_at(code: CodeType, instruction: int) -> ast.AST | None:
    """The syntax tree's node of an instruction, by its position in the source, which code has from Python 3.11 on."""
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
    except (SyntaxError, ValueError):  # the source is missing
        return None
    return statement.value if isinstance(statement, ast.Expr) else statement


def _displays(code: CodeType, instruction: int) -> bool:
    """Whether an instruction passes the value of an expression to `sys.displayhook`, as a prompt does."""
    name, argument = dis.opname[code.co_code[instruction]], code.co_code[instruction + 1]
    # CALL_INTRINSIC_1 replaced PRINT_EXPR in Python 3.12; its argument 1 is INTRINSIC_PRINT.
    return name == "PRINT_EXPR" or (name == "CALL_INTRINSIC_1" and argument == 1)
