"""Content of a working tree that is in no commit: untracked files, and changes in submodules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from loop_bench.machine.revision import git

_GENERATED = {
    *("__pycache__", ".eggs", ".git", ".hypothesis", ".idea", ".ipynb_checkpoints", ".mypy_cache", ".nox"),
    *(".pytest_cache", ".ruff_cache", ".tox", ".vscode", "build", "dist", "node_modules", ".DS_Store"),
}
_GENERATED_SUFFIXES = (".egg-info", ".pyc")
"""Names of files and folders that tools generate beside the code, and that no loop needs."""


class Untracked(NamedTuple):
    """Content that only the working tree has."""

    paths: list[str]  # of files and whole folders; relative to the root, folders end with a slash
    submodules: list[str]  # paths of changed ones


def untracked(working_tree: Path, results: Path | None = None) -> Untracked:
    """Finds what git does not track in a working tree, ignored or not, except caches, builds and Python environments.

    Args:
        working_tree: its root.
        results: folder that is left out as well, unless it contains the working tree.
    """
    excluded = results.resolve() if results else None
    if excluded and working_tree.resolve().is_relative_to(excluded):
        excluded = None
    status = git(
        working_tree,
        *("status", "--porcelain=v2", "-z", "--no-renames"),
        *("--untracked-files=normal", "--ignored=traditional", "--ignore-submodules=none"),
    )
    paths, changed = [], []
    for entry in status.split("\0"):  # "Porcelain Format Version 2" in git-status(1)
        kind, _, rest = entry.partition(" ")
        if kind in ("?", "!") and _is_content(working_tree, rest, excluded):
            paths.append(rest)
        elif kind in ("1", "u") and rest.split(" ")[1] != "N...":  # "N..." stands for no submodule
            changed.append(rest.split(" ", 7 if kind == "1" else 9)[-1])
    return Untracked(sorted(paths), sorted(changed))


def _is_content(working_tree: Path, path: str, excluded: Path | None) -> bool:
    """Whether a path has more than generated files, outside of the excluded folder."""
    if any(_is_generated(part) for part in Path(path).parts):
        return False
    place = working_tree.resolve() / path
    if excluded and place.is_relative_to(excluded):
        return False
    return not path.endswith("/") or _has_content(place, excluded)


def _has_content(folder: Path, excluded: Path | None) -> bool:
    for around, names, files in os.walk(folder):
        if Path(around) == excluded or "pyvenv.cfg" in files or "conda-meta" in names:  # a Python environment
            names.clear()
            continue
        names[:] = [name for name in names if not _is_generated(name)]
        if any(not _is_generated(name) for name in files):
            return True
    return False


def _is_generated(name: str) -> bool:
    return name in _GENERATED or name.endswith(_GENERATED_SUFFIXES)
