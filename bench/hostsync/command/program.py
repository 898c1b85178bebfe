"""Runs a Python program as `python` would, inside this process."""

from __future__ import annotations

import concurrent.futures.thread as executors
import contextlib
import importlib.util
import io
import os
import runpy
import sys
import threading
import types
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from loop_bench.errors import UsageError
from loop_bench.source import adopt, is_ours, is_users

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
        self._argv = [*([] if module is None else [module]), *arguments]
        self.name = " ".join([*([] if module is None else ["-m"]), *self._argv])
        self._path = None if module is not None else Path(arguments[0])
        self._module = module or ""
        if self._path and not self._path.exists() and arguments[0] == "pytest":
            self._path, self._module = None, "pytest"
        if self._path is None:
            _check_module(self._module)
        else:
            _check_script(self._path)

    def run(self, inside: contextlib.AbstractContextManager[object] | None = None) -> int:
        """Runs it to its end and gives its exit code; what it raises is shown as Python would show it.

        Threads that it has started are waited for, as Python does. (Those of executors are not: they end when Python
        does, with what they still have to do.)

        Args:
            inside: a context for it; what that raises counts as raised by the program.
        """
        folder = Path.cwd() if self._path is None else self._path.resolve().parent
        with _as_python_starts(self._argv, folder):
            try:
                with inside or contextlib.nullcontext():
                    try:
                        self._run()
                    finally:
                        _join_threads()
            except SystemExit as end:
                return _code(end)
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr)
                return INTERRUPTED
            except BaseException as error:
                _as_alone(error)
                sys.excepthook(type(error), error, error.__traceback__)
                return 1
        return 0

    def _run(self) -> None:
        if self._path is None:
            adopt(importlib.util.find_spec(self._module))
            runpy.run_module(self._module, run_name="__main__", alter_sys=True)
        elif self._path.is_dir() or zipfile.is_zipfile(self._path):
            runpy.run_path(str(self._path), run_name="__main__")
        else:
            _run_script(self._path.absolute())


def _check_module(module: str) -> None:
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # no such package, or no name of one
        found = None
    finally:
        sys.path.pop(0)
    if found is None:
        raise UsageError(f"module {module}: there is none of that name")


def _check_script(path: Path) -> None:
    if str(path).startswith("-"):
        raise UsageError(f"option {path}: there is none of that name; see --help")
    if not path.exists():
        raise UsageError(f"program {path}: there is no such script (a module goes after -m)")
    if path.is_dir() and not (path / "__main__.py").exists():
        raise UsageError(f"program {path}: is a folder without a __main__.py")


def _run_script(path: Path) -> None:
    """As runpy.run_path, which would replace sys.argv[0] by the path."""
    main = types.ModuleType("__main__")
    main.__file__ = str(path)
    main.__dict__["__builtins__"] = __builtins__
    with io.open_code(str(path)) as file:
        code = compile(file.read(), str(path), "exec")
    before = sys.modules["__main__"]
    sys.modules["__main__"] = main
    try:
        exec(code, main.__dict__)
    finally:
        sys.modules["__main__"] = before


def _join_threads() -> None:
    idle = getattr(executors, "_threads_queues", {})  # an executor's workers wait for work until Python ends
    for thread in threading.enumerate():
        if not thread.daemon and thread not in (threading.current_thread(), threading.main_thread(), *idle):
            thread.join()


@contextlib.contextmanager
def _as_python_starts(argv: list[str], folder: Path) -> Iterator[None]:
    before, where = (sys.argv, list(sys.path)), Path.cwd()
    # `python -m` has put the current folder first, and Python that of the script that it was started with.
    if sys.path[:1] in ([""], [str(where)], [str(Path(sys.argv[0]).parent)]):
        del sys.path[0]
    sys.argv = argv
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before
        os.chdir(where)


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def _as_alone(error: BaseException) -> None:
    """Gives an error the traceback that it has without us: from the program's first line on, and no frame of ours."""
    frames = [*_each(error.__traceback__)]
    program = (at for at, each in enumerate(frames) if is_users(each.tb_frame.f_code.co_filename))
    first = next(program, len(frames) if isinstance(error, SyntaxError) else 0)
    _leave_out_ours(error, first)


def _leave_out_ours(error: BaseException | None, first: int = 0) -> None:
    """Cuts our frames out of the traceback of an error, and of those that it came of."""
    if error is None:
        return
    own = None
    for each in reversed([*_each(error.__traceback__)][first:]):
        if not is_ours(each.tb_frame.f_code.co_filename):
            own = TracebackType(own, each.tb_frame, each.tb_lasti, each.tb_lineno)
    error.__traceback__ = own
    _leave_out_ours(error.__cause__)
    if error.__context__ is not error.__cause__:
        _leave_out_ours(error.__context__)


def _each(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


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
