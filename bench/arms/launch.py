"""Starting an arm's process: its interpreter, its folder, its environment variables, and this package.

This package is not installed in the arm's environment. A boot script, passed to the interpreter with `-c`, registers
this package's folder under its name and runs one of its modules. With the folder's parent on `sys.path`, everything
installed in this environment could be imported there as well.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from loop_bench import source
from loop_bench.errors import UsageError
from loop_bench.jobs.parent import SAYS

PACKAGE = str(Path(__file__).resolve().parents[1])
"""Folder of this package."""

_OLDEST = (3, 10)

_BOOT = """\
import sys
package, module, sys.path[:] = sys.argv[1], sys.argv[2], [entry for entry in sys.path if entry]
if sys.version_info < {oldest}:
    sys.exit("{says}is Python %d.%d, but needs {words} or newer" % sys.version_info[:2])
import importlib.util, runpy
name = {name!r}
spec = importlib.util.spec_from_file_location(name, package + "/__init__.py", submodule_search_locations=[package])
sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[name])
del sys.argv[1:3]
runpy.run_module(module, run_name="__main__", alter_sys=True)
""".format(oldest=_OLDEST, words=".".join(map(str, _OLDEST)), says=SAYS, name=__name__.partition(".")[0])


@dataclasses.dataclass(frozen=True)
class Launch:
    """Everything that is needed to start processes of an arm."""

    python: str  # the interpreter's path
    folder: Path  # the current folder of the process
    environment: Mapping[str, str]  # all of its variables
    paths: tuple[str, ...] = ()  # folders in which the user's modules are looked up
    asked: int = 0  # how many of `paths`, from the first, come from the arm's own PYTHONPATH

    def command(self, module: str, *arguments: str) -> list[str]:
        """The command that runs a module of this package as a program."""
        return [self.python, "-c", _BOOT, PACKAGE, module, *arguments]


def launch(
    folder: Path,
    python: str | None = None,
    variables: Mapping[str, str] | None = None,
    moved: tuple[Path, Path] | None = None,
) -> Launch:
    """Describes how to start processes that import the user's modules from where this process does.

    Args:
        folder: their current folder.
        python: their interpreter; None: that of this process.
        variables: environment variables added to those of this process; entries of a PYTHONPATH among them come first.
        moved: old and new folder: module paths inside the old one are moved to the same place in the new one.
    """
    wanted = dict(variables or {})
    asked = [str(folder / path) for path in wanted.pop("PYTHONPATH", "").split(os.pathsep) if path]
    paths = asked + [_moved(path, moved) for path in own_paths()]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_INTERPRETER}
    environment |= {**wanted, "PYTHONPATH": os.pathsep.join(paths)}
    return Launch(python or sys.executable, folder, environment, tuple(paths), len(asked))


_OF_INTERPRETER = ("PYTHONPATH", "PYTHONHOME")
"""Variables that configure the interpreter of this process and would mislead another one."""


def own_paths(entries: Iterable[str] | None = None) -> list[str]:
    """The user's entries of `sys.path`: neither Python's own folders nor those of installed packages.

    Args:
        entries: used in place of `sys.path`.
    """
    scripts = Path(sys.executable).parent  # Python puts the folder of the called command there
    folders = []
    for entry in sys.path if entries is None else entries:
        path = Path(entry or os.curdir).absolute()
        inside = str(path / "module.py")
        if path.is_dir() and path != scripts and not (source.is_standard(inside) or source.is_installed(inside)):
            folders.append(str(path))
    return list(dict.fromkeys(folders))


def _moved(path: str, moved: tuple[Path, Path] | None) -> str:
    if moved is None:
        return path
    old, new = (folder.resolve() for folder in moved)
    real = Path(path).resolve()
    return str(new / real.relative_to(old)) if real.is_relative_to(old) else path


def interpreter(option: str, name: str) -> str:
    """Finds an interpreter by its path, by the folder of its virtual environment, or by its command's name.

    Symbolic links are not followed: the path by which an interpreter is called decides which environment it uses.

    Raises:
        UsageError: no such interpreter exists.
    """
    given = Path(name).expanduser()
    candidates: Sequence[Path] = (given, given / "bin" / "python")
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return str(path.absolute())
    import shutil

    if os.sep not in name and (command := shutil.which(name)):
        return command
    raise UsageError(
        f"{option} {name!r}: no such interpreter; give its path, such as .venv-old/bin/python, or a command on PATH"
    )
