"""Runs a Python program inside this process as `python` would."""

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
    """A program to run: a script, a module or pytest, with its arguments.

    Args:
        arguments: a script's path and its arguments, or `pytest` and its arguments; the arguments alone for a module.
        module: name of a module, as after `python -m`; None: a script or pytest.

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
        """Runs the program to its end and returns its exit code; an exception is shown as Python would show it.

        Waits for the program's threads, as Python does, but not for those of executors, which finish their work when
        Python ends.

        Args:
            inside: context to run the program in; an exception that the context raises counts as the program's.
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
                _trim_traceback(error)
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
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # no such package, or not a valid name
        spec = None
    finally:
        sys.path.pop(0)
    if spec is None:
        raise UsageError(f"module {module}: not found")


def _check_script(path: Path) -> None:
    if str(path).startswith("-"):
        raise UsageError(f"option {path}: unknown; see --help")
    if not path.exists():
        raise UsageError(f"program {path}: there is no such script (a module goes after -m)")
    if path.is_dir() and not (path / "__main__.py").exists():
        raise UsageError(f"program {path}: is a folder without a __main__.py")


def _run_script(path: Path) -> None:
    """Runs a script as runpy.run_path does, but without replacing sys.argv[0] by the path."""
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
    idle = getattr(executors, "_threads_queues", {})  # executors' workers, which wait for work until Python ends
    for thread in threading.enumerate():
        if not thread.daemon and thread not in (threading.current_thread(), threading.main_thread(), *idle):
            thread.join()


@contextlib.contextmanager
def _as_python_starts(argv: list[str], folder: Path) -> Iterator[None]:
    """Sets sys.argv and sys.path as at the start of a program, and restores them and the current folder afterwards."""
    before, cwd = (sys.argv, list(sys.path)), Path.cwd()
    # Python has put a folder first for this program: the current one after `python -m`, else that of the script.
    if sys.path[:1] in ([""], [str(cwd)], [str(Path(sys.argv[0]).parent)]):
        del sys.path[0]
    sys.argv = argv
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before
        os.chdir(cwd)


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def _trim_traceback(error: BaseException) -> None:
    """Trims an error's traceback to what it is without this package: from the program's first line on."""
    entries = [*_entries(error.__traceback__)]
    program = (index for index, entry in enumerate(entries) if is_users(entry.tb_frame.f_code.co_filename))
    first = next(program, len(entries) if isinstance(error, SyntaxError) else 0)
    _remove_our_frames(error, first)


def _remove_our_frames(error: BaseException | None, first: int = 0) -> None:
    """Removes this package's frames from the tracebacks of an error and of its causes."""
    if error is None:
        return
    trimmed = None
    for entry in reversed([*_entries(error.__traceback__)][first:]):
        if not is_ours(entry.tb_frame.f_code.co_filename):
            trimmed = TracebackType(trimmed, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    error.__traceback__ = trimmed
    _remove_our_frames(error.__cause__)
    if error.__context__ is not error.__cause__:
        _remove_our_frames(error.__context__)


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


@contextlib.contextmanager
def output_to_stderr() -> Iterator[None]:
    """Redirects a program's standard output, from C too, to standard error: the report has standard output."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
