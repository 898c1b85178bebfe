"""The user's line that called an adapter, at which the adapter's reads and errors are reported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from loop_bench.errors import UsageError
from loop_bench.source import is_ours, place


class Caller:
    """The line of the user's program that is calling an adapter, found on the stack.

    Args:
        adapter: name of the adapter, such as `from_step`.
    """

    def __init__(self, adapter: str) -> None:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and is_ours(frame.f_code.co_filename):
            frame = frame.f_back
        file, line = (frame.f_code.co_filename, frame.f_lineno) if frame else ("<unknown>", 1)
        self._called = f"{adapter} at {place(file, line)}"
        self._through = _frame_at(file, line, adapter)

    def call(self, work: Callable[[], Any]) -> Any:
        """Calls `work` inside a stack frame of the caller's line, and returns its result.

        Reads and errors are then reported at that line, unless the user's own code is further inside; Keras, for
        example, reads by itself.
        """
        return self._through(work)

    def error(self, problem: str) -> UsageError:
        """An error that names the adapter and the caller's line."""
        return UsageError(f"{self._called}: {problem}")


def _frame_at(file: str, line: int, name: str) -> Callable[[Callable[[], Any]], Any]:
    """A function that calls its argument from a stack frame with the given file and line, and no column."""
    tree = ast.parse(f"def {name}(work): return work()")
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr | ast.arg):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = -1
    namespace: dict[str, Any] = {}
    exec(compile(tree, file, "exec"), namespace)
    through: Callable[[Callable[[], Any]], Any] = namespace[name]
    return through
