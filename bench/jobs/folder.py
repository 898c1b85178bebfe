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
"""Seconds for the processes of a killed run to notice that it is gone, before its folder counts as in use."""


@dataclasses.dataclass(frozen=True)
class LockedFolder:
    """A folder of results in which nobody else works."""

    path: Path
    lock: int  # an open file; whoever holds it, a process started meanwhile too, keeps the folder locked

    def result(self, name: str) -> Path:
        """The file of the result with a name."""
        return self.path / f"{name}.json"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[LockedFolder]:
    """Makes a folder if it is missing, and locks it.

    Raises:
        UsageError: it cannot be written, or is in use.
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
        yield LockedFolder(path.absolute(), lock)  # a process of a trial may have another current folder
    finally:
        os.close(lock)


def same_conditions(folder: Path, environment: dict[str, Any]) -> None:
    """Leaves word in a new folder of where its trials are made, and refuses one in which they were made elsewhere.

    Raises:
        UsageError: they were made elsewhere; it says what differs.
        InvalidRecordError: the word that was left cannot be read.
    """
    path = folder / CONDITIONS
    # Their code is looked at itself: a commit may change other things, and any file that is written makes it dirty.
    environment = {key: value for key, value in environment.items() if key not in ("commit", "dirty")}
    here = json.dumps(environment, indent=1, sort_keys=True)
    has_trials = any(each != path for each in folder.glob("*.json"))
    # A word of no trials: the command failed before it had any, and what has been mended since may go on.
    if not path.exists() or not has_trials:
        write_whole(path, here)
        return
    try:
        there = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        raise InvalidRecordError(f"{path}: does not say where the trials were made; name a new folder") from None
    now = json.loads(here)  # as it comes back from a file: a tuple as a list
    differing = sorted(key for key in {*there, *now} if there.get(key) != now.get(key))
    if differing:
        raise UsageError(
            f"folder {folder}: its trials were made with another {', '.join(differing)}; name a new folder, or delete "
            "this one"
        )


def code(factories: Iterable[str]) -> dict[str, str]:
    """A hash of the Python files around each factory: its package's, or those beside a module that is in none.

    What these import from elsewhere is not looked at, but for the versions of packages, which a record has anyway.

    Args:
        factories: as `module:factory`.

    Returns:
        Hexadecimal digests by the name of the package or module.
    """
    look_in_current_folder()
    roots = sorted({factory.partition(":")[0].partition(".")[0] for factory in factories})
    return {root: _digest(_files(root)) for root in roots}


def fingerprint(loops: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Hashes of what loops are made of: their code, and the scripts that their options name.

    Args:
        loops: factory as `module:factory`, and options, of each.
    """
    loops = list(loops)
    scripts = {str(options["script"]) for _, options in loops if "script" in options}
    return {"code of the loops": code(factory for factory, _ in loops), "script": of_files(map(Path, scripts))}


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
        return sorted((str(path.relative_to(folder)), path) for folder in folders for path in _sources(folder))
    if found.has_location and found.origin:
        return sorted((path.name, path) for path in Path(found.origin).parent.glob("*.py"))
    return []


def _sources(folder: Path) -> Iterator[Path]:
    """Python files in a folder and those below it, links to folders among them, each folder once.

    `rglob` leaves links out: in a clone, all of the built-in loops (docs/explanation/architecture.md).
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
