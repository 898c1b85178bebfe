"""Whose code a file is, by where an environment keeps it and not by names of packages, and how a line is shown."""

from __future__ import annotations

import functools
import linecache
import os
import re
import sys
import sysconfig
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

_OURS = f"{Path(__file__).parent}{os.sep}"
_LOOPS = tuple(f"{_OURS}{name}{os.sep}" for name in ("examples", "seqgan", "baseline"))  # they stand for a user's code
_INSTALLED_FOLDERS = ("site-packages", "dist-packages")  # of any environment
_WITHOUT_FILES = ("<frozen ", "<__array_function__", "<attrs generated", "<decorator-gen")  # code of libraries
_adopted: set[str] = set()

GENERATED = "__autograph_generated_file"
"""Prefix of the names of files into which TensorFlow's AutoGraph writes the code of traced functions."""


class Frame(NamedTuple):
    """A line and the function that it is in."""

    file: str
    line: int
    function: str


def is_ours(file: str) -> bool:
    """Whether a file is the harness' own code; the loops that come with it do not count."""
    return file.startswith(_OURS) and not file.startswith(_LOOPS)


def is_installed(file: str) -> bool:
    """Whether a file belongs to an installed package other than this one.

    A project that is installed in place (`pip install -e`) does not count.
    """
    return not file.startswith(_OURS) and bool(_packages_around(file))


@functools.lru_cache(maxsize=4096)
def is_standard(file: str) -> bool:
    """Whether a file belongs to Python's standard library."""
    return file.startswith(_standard()) and not _packages_around(file)


@functools.lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Whether a file is the user's code: neither ours nor installed nor the standard library's.

    Code without a file (`<stdin>`, a notebook's cell) is the user's, and so is an installed package that was adopted.
    """
    if is_ours(file) or file.startswith(_WITHOUT_FILES):
        return False
    return file.startswith((*_LOOPS, *_adopted)) or not (is_standard(file) or is_installed(file))


def adopt(spec: ModuleSpec | None) -> None:
    """Treats a package as the user's code although it is installed, because the user's program is in it.

    Args:
        spec: of a module in it, as `python -m` or a factory names it. None is ignored, and so are `python -m unittest`
            and `python -m pytest`, which run programs. This package never counts as the user's.
    """
    if spec is None or spec.origin is None or is_standard(spec.origin) or spec.name.partition(".")[0] == "pytest":
        return
    depth = spec.name.count(".") + (spec.submodule_search_locations is not None)  # folders up to the package's own
    whole = f"{Path(spec.origin).parents[depth - 1]}{os.sep}" if depth else spec.origin
    if whole not in _adopted:
        _adopted.add(whole)
        is_users.cache_clear()


def source_line(file: str, line: int) -> str:
    """A line of a file without the blanks around it; empty where the file does not exist."""
    return linecache.getline(file, line).strip()


def whole(file: str) -> str:
    """The whole text of a file, or of a notebook's cell; empty where it does not exist."""
    return "".join(linecache.getlines(file))


def shorter(file: str) -> str:
    """A path for display: relative to the current folder, to its package's folder, or the name of a notebook's cell.

    It is absolute outside of the current folder and of the repository around that. What is shown should not depend on
    where a project and its environment lie.
    """
    if cell := _cell(file):
        return cell
    if file.startswith("<"):
        return file
    if file.startswith(_OURS):
        return os.path.relpath(file, Path(_OURS).parent)
    if is_installed(file):
        return file.removeprefix(_packages_around(file))
    if is_standard(file):
        return f"python/{file.removeprefix(next(folder for folder in _standard() if file.startswith(folder)))}"
    relative = os.path.relpath(file)
    return file if relative.startswith("..") and not file.startswith(_repository(Path.cwd())) else relative


def package_of(file: str) -> str:
    """The name of the package or the module that an installed file belongs to."""
    return shorter(file).partition(os.sep)[0]


def place(file: str, line: int) -> str:
    """A line as a reader looks it up: `train.py:7`; in a notebook `cell 3, line 5`."""
    return f"{file}, line {line}" if is_cell(file := shorter(file)) else f"{file}:{line}"


def is_cell(file: str) -> bool:
    """Whether a file, as `shorter` shows it, is a notebook's cell."""
    return re.fullmatch(r"cell \d+", file) is not None


def _cell(file: str) -> str | None:
    """The name, such as `cell 3`, of a file that IPython has made for typed input; None for any other file."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    label = shell.compile.format_code_name(file) if shell is not None else None  # ("Cell", "In[3]")
    number = re.search(r"\d+", label[1]) if label else None
    return f"cell {number[0]}" if number else None


@functools.cache
def _repository(folder: Path) -> str:
    """The root of the git working tree around a folder, with a slash; the folder itself if it is in none."""
    around = (each for each in (folder, *folder.parents) if (each / ".git").exists())
    return f"{next(around, folder)}{os.sep}"


@functools.lru_cache(maxsize=4096)
def _packages_around(file: str) -> str:
    """The folder of installed packages that contains a file, with a slash; empty for none."""
    named = (f"{os.sep}{name}{os.sep}" for name in _INSTALLED_FOLDERS)
    ends = [file.rindex(each) + len(each) for each in named if each in file]
    if ends:
        return file[: max(ends)]
    return next((folder for folder in _installed() if file.startswith(folder)), "")


@functools.cache
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return _folders({paths["purelib"], paths["platlib"]})


@functools.cache
def _standard() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return _folders({paths["stdlib"], paths["platstdlib"], str(Path(os.__file__).parent)})


def _folders(paths: set[str]) -> tuple[str, ...]:
    return tuple(f"{path.rstrip(os.sep)}{os.sep}" for path in sorted(paths, key=len, reverse=True))
