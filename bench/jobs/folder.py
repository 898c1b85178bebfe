"""The folder of an experiment's results: its lock, and the conditions that must not change when it resumes there."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.loop import look_in_current_folder
from loop_bench.writing import write_whole

LOCK, CONDITIONS = ".lock", "environment.json"

WAITED = 10.0
"""Seconds to wait for the processes of a killed run to end, before its folder counts as in use."""


@dataclasses.dataclass(frozen=True)
class LockedFolder:
    """A folder of results, locked against other runs."""

    path: Path
    lock: int  # an open file; each process that holds it, child processes included, keeps the folder locked

    def result(self, name: str) -> Path:
        """The file of a result, by the result's name."""
        return self.path / f"{name}.json"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[LockedFolder]:
    """Creates a folder if it is missing, and locks it until leaving.

    Raises:
        UsageError: the folder cannot be written, or is in use.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"folder {path}: cannot be written ({error.strerror})") from None
    try:
        waited_until = time.monotonic() + WAITED
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > waited_until:
                    raise UsageError(f"folder {path}: is in use by another run; wait for it, or end it") from None
                time.sleep(0.05)
        yield LockedFolder(path.absolute(), lock)  # a trial's process may have another current folder
    finally:
        os.close(lock)


def same_conditions(folder: Path, environment: dict[str, Any]) -> None:
    """Records the conditions of a new folder's trials; refuses a folder whose trials had other conditions.

    Raises:
        UsageError: the conditions differ; the message says in what.
        InvalidRecordError: the recorded conditions cannot be read.
    """
    path = folder / CONDITIONS
    # The code is compared by its hash: a commit may change other things, and any file that is written makes it dirty.
    environment = {key: value for key, value in environment.items() if key not in ("commit", "dirty")}
    text = json.dumps(environment, indent=1, sort_keys=True)
    has_trials = any(file != path for file in folder.glob("*.json"))
    # Without trials, the conditions are of a command that failed before its first one, and may have been mended since.
    if not path.exists() or not has_trials:
        write_whole(path, text)
        return
    try:
        recorded = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        raise InvalidRecordError(f"{path}: does not hold the conditions of the trials; name a new folder") from None
    now = json.loads(text)  # as read back from a file, where tuples are lists
    differing = sorted(key for key in {*recorded, *now} if recorded.get(key) != now.get(key))
    if differing:
        raise UsageError(
            f"folder {folder}: its trials were made with another {', '.join(differing)}; name a new folder, or delete "
            "this one"
        )


def code(factories: Iterable[str]) -> dict[str, str]:
    """Hashes the Python files around each factory: those of its package, or those beside its module.

    What these import from elsewhere is not hashed; the versions of installed packages are in the record.

    Args:
        factories: as `module:factory`.

    Returns:
        Hexadecimal digests by the name of the package or module.
    """
    look_in_current_folder()
    roots = sorted({factory.partition(":")[0].partition(".")[0] for factory in factories})
    return {root: _digest(_files(root)) for root in roots}


def fingerprint(loops: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Hashes what loops are made of: their code, and the scripts that their options name.

    Args:
        loops: factory, as `module:factory`, and options of each.
    """
    loops = list(loops)
    scripts = {str(options["script"]) for _, options in loops if "script" in options}
    return {"code of the loops": code(factory for factory, _ in loops), "script": of_files(map(Path, scripts))}


def of_files(paths: Iterable[Path]) -> str:
    """A hash of the contents of some files; a missing one counts as empty."""
    return _digest((path.name, path) for path in sorted(paths))


def _files(root: str) -> list[tuple[str, Path]]:
    """The Python files of a package, or around a module, each with its name relative to the package."""
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        folders = map(Path, spec.submodule_search_locations)
        return sorted((str(path.relative_to(folder)), path) for folder in folders for path in _sources(folder))
    if spec.has_location and spec.origin:
        return sorted((path.name, path) for path in Path(spec.origin).parent.glob("*.py"))
    return []


def _sources(folder: Path) -> Iterator[Path]:
    """Python files in a folder and its subfolders, links to folders included; each folder once.

    `rglob` does not follow links: in a clone, it would miss the built-in loops (docs/explanation/architecture.md).
    """
    seen = set[str]()
    for where, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(where)) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(where, name) for name in names if name.endswith(".py"))


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, path in files:
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape"))
        digest.update(content)
    return digest.hexdigest()[:16]
