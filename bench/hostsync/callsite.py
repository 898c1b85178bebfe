"""Which line of the user's code is responsible for what happens right now, and by which of its calls."""

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

# Methods that are no way to read by themselves; what the source calls tells more.
_SAYS_LITTLE = frozenset({"__array__", "__init__", "__next__", "__getitem__"})
_DISPLAYED = "display"  # the value of a notebook's or prompt's last expression
_LIBRARY_FRAMES = 3
_DATACLASS = "__create_fn__"  # in the names of methods that dataclasses write for a class: `==` and `repr` read there


class CallSite(NamedTuple):
    """A line in the user's code, the function or operator in it that is at work, and the library that works for it."""

    file: str
    line: int
    route: str | None  # None where neither a library's frame nor the source tells
    library: Frame | None = None  # the innermost code of a library that reads for the line; None where it reads itself

    @property
    def source(self) -> str:
        """The line itself; empty where the file is not there."""
        return source_line(self.file, self.line)


def call_site() -> CallSite:
    """The innermost frame of the user's code: neither in an installed package nor in the standard library.

    In a thread without a frame of the user's it is the library's own line.
    """
    frame: FrameType | None = sys._getframe(1)
    entry, library = "", None
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        if is_generated(file):  # AutoGraph copies functions of libraries, too
            file = as_written(frame).file
        if is_users(file) and not _is_dataclass_method(frame):
            here = as_written(frame)
            return CallSite(here.file, here.line, _route(entry, frame), library)
        if code.co_name not in WRAPPERS and _is_entry(file):
            entry = code.co_name
            if library is None and not _reads(file):
                library = as_written(frame)
        frame = frame.f_back
    # A thread that a library has started for itself.
    stack = call_stack()
    outside = [each for each in stack if not _reads(each.file)]
    at = (*library_frames(stack)[-1:], *outside, *stack[-1:], Frame("<unknown>", 0, ""))[0]
    return CallSite(at.file, at.line, entry.strip("_") or None)


def call_stack() -> tuple[Frame, ...]:
    """All frames, the innermost first, without this package's own."""
    frame: FrameType | None = sys._getframe(1)
    found: list[Frame] = []
    while frame is not None:
        if not is_ours(frame.f_code.co_filename):
            found.append(as_written(frame))
        frame = frame.f_back
    return tuple(found)


def library_frames(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The code of libraries, such as Keras, that read for the call site; innermost first, three frames at most.

    Frames of TensorFlow, NumPy and the standard library are left out; nothing is left where the user's code reads.
    """
    inside = itertools.takewhile(lambda frame: not is_users(frame.file), stack)
    found = (
        each for each in inside if is_installed(each.file) and not _reads(each.file) and each.function not in WRAPPERS
    )
    return tuple(itertools.islice(found, _LIBRARY_FRAMES))


def as_written(frame: FrameType) -> Frame:
    """The frame as its author wrote it: AutoGraph runs copies of functions from files of its own."""
    file, line = frame.f_code.co_filename, frame.f_lineno
    copied = _copied_from(file, line) if is_generated(file) else None
    return copied or Frame(file, line, frame.f_code.co_name)


def as_written_in(file: str, line: int) -> tuple[str, int]:
    """File and line as their author wrote them; see `as_written`."""
    copied = _copied_from(file, line) if is_generated(file) else None
    return (copied.file, copied.line) if copied else (file, line)


@functools.lru_cache(maxsize=4096)
def _is_entry(file: str) -> bool:
    """Whether a library's function in this file says how a line reads: not ours, nor AutoGraph's machinery."""
    return is_installed(file) and not is_ours(file) and not file.startswith(AUTOGRAPH)


@functools.lru_cache(maxsize=4096)
def _reads(file: str) -> bool:
    """Whether a file belongs to what every read passes, and so tells nothing about this one."""
    return file.startswith(READERS)


def _is_dataclass_method(frame: FrameType) -> bool:
    """Whether a frame is of a method that dataclasses have written for a class."""
    code = frame.f_code
    if sys.version_info < (3, 11):  # where code has no qualified name
        is_writable = code.co_filename == "<string>" and code.co_name.startswith("__")
        return is_writable and dataclasses.is_dataclass(frame.f_locals.get("self"))
    return code.co_qualname.startswith(_DATACLASS)


def _copied_from(file: str, line: int) -> Frame | None:
    """What a line of a generated file was made from; None where TensorFlow does not say."""
    lines = generated_lines(file)
    # Not every generated line stands for one of its own; then the one before it does.
    nearest = max((number for number in lines if number <= line), default=None)
    return None if nearest is None else Frame(*lines[nearest])


def _route(entry: str, frame: FrameType) -> str | None:
    """What a line does to read.

    Args:
        entry: the outermost function of a library below it; "" where C reads without one.
        frame: that the line is in.
    """
    code, instruction = frame.f_code, frame.f_lasti
    if entry.startswith("__") and entry not in _SAYS_LITTLE:
        return entry.strip("_")  # float, bool, index, str, format, ...
    if _displays(code, instruction):
        return _DISPLAYED
    called = None if is_generated(code.co_filename) else _called(_node(frame), code, instruction)
    return called or entry.strip("_") or None


def _called(node: ast.AST | None, code: CodeType, instruction: int) -> str | None:
    """The function or operator that an instruction stands for; None where that cannot be told.

    `np.asarray(t)` is C all the way, and `tf.cond` has another name inside TensorFlow.
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
    """What is running of a frame, in the syntax tree of its source; None where that cannot be told."""
    if sys.version_info < (3, 11):
        try:
            import executing  # finds by the instructions themselves what code does not keep there
        except ImportError:  # an arm's environment, in which nothing of ours is installed
            return None
        return executing.Source.executing(frame).node
    return _node_at(frame.f_code, frame.f_lasti)


@functools.lru_cache(maxsize=4096)
def _node_at(code: CodeType, instruction: int) -> ast.AST | None:
    """What an instruction stands for, by its place in the source, which code keeps from Python 3.11 on."""
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
    return statement.value if isinstance(statement, ast.Expr) else statement


def _displays(code: CodeType, instruction: int) -> bool:
    """Whether an instruction hands the value of an expression to `sys.displayhook`, as a prompt does."""
    name, argument = dis.opname[code.co_code[instruction]], code.co_code[instruction + 1]
    # CALL_INTRINSIC_1 has taken over from PRINT_EXPR in Python 3.12; 1 is INTRINSIC_PRINT in both.
    return name == "PRINT_EXPR" or (name == "CALL_INTRINSIC_1" and argument == 1)
