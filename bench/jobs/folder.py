"""The code and the data behind trials: what must not have changed when an experiment is gone on with."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def code(factories: Iterable[str]) -> dict[str, str]:
    """A hash of the Python files around each factory: its package's, or those beside a module that is in none.

    What these import from elsewhere is not looked at, but for the versions of packages, which a record has anyway.

    Args:
        factories: as `module:factory`.

    Returns:
        Hexadecimal digests by the name of the package or module.
    """
    if (here := str(Path.cwd())) not in sys.path:  # as `bench.loop.load` looks for them
        sys.path.insert(0, here)
    roots = sorted({factory.partition(":")[0].partition(".")[0] for factory in factories})
    return {root: _digest(_files(root)) for root in roots}


def of_loops(factories: Iterable[str], options: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Of what loops are made of: their code, and the scripts that their options name."""
    scripts = {str(each["script"]) for each in options if "script" in each}
    return {"code of the loops": code(factories), "script": of_files(map(Path, scripts))}


def of_files(paths: Iterable[Path]) -> str:
    """A hash of what is in some files; one that is missing has nothing in it."""
    return _digest((path.name, path) for path in sorted(paths))


def _files(root: str) -> list[tuple[str, Path]]:
    """With what they are called in their package, wherever that is."""
    try:
        found = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return []
    if found is None:
        return []
    if found.submodule_search_locations:
        folders = map(Path, found.submodule_search_locations)
        return sorted((str(path.relative_to(folder)), path) for folder in folders for path in folder.rglob("*.py"))
    if found.has_location and found.origin:
        return sorted((path.name, path) for path in Path(found.origin).parent.glob("*.py"))
    return []


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, path in files:
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape"))
        digest.update(content)
    return digest.hexdigest()[:16]
