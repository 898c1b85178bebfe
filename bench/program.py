"""Runs a Python program as `python` would, inside this process."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from bench.errors import UsageError

INTERRUPTED = 130  # as shells report a program that Ctrl-C has ended


class Program:
    """A script, a module, or pytest, with its arguments.

    Args:
        arguments: of the command line: a script's path and its arguments, or `pytest` and its.
        module: as after `python -m`; `arguments` are then its own.

    Raises:
        UsageError: there is no such program.
    """

    def __init__(self, arguments: Sequence[str], module: str | None = None) -> None:
        if module is None and not arguments:
            raise UsageError("no program: name a script, -m and a module, or pytest, with its arguments")
        self._module, self._path = module, Path(arguments[0]) if arguments else Path()
        self._argv = [module, *arguments] if module is not None else list(arguments)
        if module is None and not self._path.exists():
            if arguments[0] != "pytest":
                raise UsageError(f"program {arguments[0]}: there is no such script (a module goes after -m)")
            self._module = "pytest"
        self.name = " ".join([*(["-m"] if module is not None else []), *self._argv])

    def run(self, inside: contextlib.AbstractContextManager[object] | None = None) -> int:
        """Runs it to its end and gives its exit code; what it raises is shown as Python would show it.

        Args:
            inside: a context for it; what that raises counts as raised by the program.
        """
        folder = self._path.resolve().parent if self._module is None else Path.cwd()
        with _as_python_starts(self._argv, folder):
            try:
                with inside or contextlib.nullcontext():
                    self._run()
            except SystemExit as end:
                return _code(end)
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr)
                return INTERRUPTED
            except Exception as error:
                traceback.print_exception(type(error), error, _own(error.__traceback__))
                return 1
        return 0

    def _run(self) -> None:
        if self._module is None:
            runpy.run_path(str(self._path.absolute()), run_name="__main__")
        else:
            runpy.run_module(self._module, run_name="__main__", alter_sys=True)


@contextlib.contextmanager
def _as_python_starts(argv: list[str], folder: Path) -> Iterator[None]:
    before = sys.argv, list(sys.path)
    sys.argv = argv
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def _own(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the program's first line on; all of it where none is the program's."""
    from bench.hostsync.callsite import is_users  # TensorFlow, which wrong arguments should not wait for

    first = trace
    while first is not None and not is_users(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    return first or trace


@contextlib.contextmanager
def output_to_stderr() -> Iterator[None]:
    """What a program writes to standard output goes to standard error, also from C: the output is the report's."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
