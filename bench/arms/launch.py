"""How a process of an arm is started: in its interpreter, its folder and its environment, and with our package.

Nothing of ours is installed there. A few lines, given to the interpreter as text, make the folder of our package known
under its name, and run a module of it: an entry of the path that leads to it would bring all of our environment along.
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
"""Our package's folder."""

_OLDEST = (3, 10)

_BOOT = """\
import sys
package, module, sys.path[:] = sys.argv[1], sys.argv[2], [entry for entry in sys.path if entry]
if sys.version_info < {oldest}:
    sys.exit("{says}is Python %d.%d, and {words} is the oldest that will do" % sys.version_info[:2])
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
    """All that is needed to start processes of an arm."""

    python: str  # the interpreter's path
    folder: Path  # the current folder of the process
    environment: Mapping[str, str]  # all of its variables
    paths: tuple[str, ...] = ()  # where the user's modules are looked for
    asked: int = 0  # so many of them, the first, a PYTHONPATH of its own names

    def command(self, module: str, *arguments: str) -> list[str]:
        """The command that runs a module of our package as a program."""
        return [self.python, "-c", _BOOT, PACKAGE, module, *arguments]


def launch(
    folder: Path,
    python: str | None = None,
    variables: Mapping[str, str] | None = None,
    moved: tuple[Path, Path] | None = None,
) -> Launch:
    """How processes are started that find the user's modules where this one does.

    Args:
        folder: their current folder.
        python: their interpreter; None: that of this process.
        variables: environment variables besides those of this process; what is in a PYTHONPATH of theirs comes first.
        moved: two folders; what this process finds in the first is looked for in the second.
    """
    wanted = dict(variables or {})
    asked = [str(folder / path) for path in wanted.pop("PYTHONPATH", "").split(os.pathsep) if path]
    paths = asked + [_moved(path, moved) for path in own_paths()]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_INTERPRETER}
    environment |= {**wanted, "PYTHONPATH": os.pathsep.join(paths)}
    return Launch(python or sys.executable, folder, environment, tuple(paths), len(asked))


_OF_INTERPRETER = ("PYTHONPATH", "PYTHONHOME")
"""Variables that are about the interpreter of this process, and would mislead another one."""


def own_paths(entries: Iterable[str] | None = None) -> list[str]:
    """The folders of `sys.path` that are the user's: neither Python's own nor those that packages are installed in.

    Args:
        entries: in place of `sys.path`.
    """
    scripts = Path(sys.executable).parent  # where the command is that was called
    found = []
    for entry in sys.path if entries is None else entries:
        path = Path(entry or os.curdir).absolute()
        inside = str(path / "module.py")
        if path.is_dir() and path != scripts and not (source.is_standard(inside) or source.is_installed(inside)):
            found.append(str(path))
    return list(dict.fromkeys(found))


def _moved(path: str, moved: tuple[Path, Path] | None) -> str:
    if moved is None:
        return path
    there, here = (each.resolve() for each in moved)
    real = Path(path).resolve()
    return str(here / real.relative_to(there)) if real.is_relative_to(there) else path


def interpreter(option: str, name: str) -> str:
    """The path of an interpreter that is named by its path, by the folder of its virtual environment, or by its name.

    Links are not followed: through which one an interpreter is called tells it of which environment it is.

    Raises:
        UsageError: there is none.
    """
    given = Path(name).expanduser()
    inside: Sequence[Path] = (given, given / "bin" / "python")
    for path in inside:
        if path.is_file() and os.access(path, os.X_OK):
            return str(path.absolute())
    import shutil

    if os.sep not in name and (found := shutil.which(name)):
        return found
    raise UsageError(f"{option} {name!r}: must be an interpreter, such as .venv-old/bin/python; there is none")
