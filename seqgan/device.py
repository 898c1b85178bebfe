"""TensorFlow on this machine: starting it without log output, its devices, and the cache of XLA's compiled programs."""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_FLAGS = "TF_XLA_FLAGS"
_DIRECTORY = "--tf_xla_persistent_cache_directory"
_ENTRIES = "*.pb"
_SEAL = ".sha256"
_ROOM = 256 << 20  # bytes; all programs of a run are some 4 MiB, and a full disk would end training


def start_tensorflow() -> None:
    """Imports TensorFlow and lists its devices, without its log output.

    TensorFlow 2.21 writes it regardless of TF_CPP_MIN_LOG_LEVEL (tensorflow/tensorflow issue 100442), so standard
    error is redirected meanwhile; if the import fails, the output is shown after all. If the user has set
    TF_CPP_MIN_LOG_LEVEL, nothing is redirected.
    """
    if "tensorflow" in sys.modules:
        return
    with importing_tensorflow():
        if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
            import tensorflow  # noqa: F401
        else:
            _import_quietly()


def _import_quietly() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        failed = True
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()  # not the logical ones, which a loop may still configure
            failed = False
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            if failed:
                aside.seek(0)
                sys.stderr.write(aside.read().decode(errors="replace"))


@contextlib.contextmanager
def importing_tensorflow() -> Iterator[None]:
    """Disables Python's garbage collector while TensorFlow is imported, and limits it at exit.

    The import makes half a million objects and no garbage, but the collector would run a hundred times, a quarter of
    the import's time. At exit it would run repeatedly too, where once is enough, to close files that were left open.
    """
    atexit.register(gc.freeze)
    atexit.register(gc.collect)  # runs before freeze, because atexit functions run in reverse order
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def device_name() -> str:
    """Description of the device that training runs on."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU (TensorFlow sees no GPU; with TF_CPP_MIN_LOG_LEVEL=0 it says why)"
    return ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus)


def default_preset() -> str:
    """Default preset: `script` if TensorFlow sees a GPU, else `paper`."""
    return "script" if on_gpu() else "paper"


class CompileCacheError(Exception):
    """The compile cache cannot be used, with the reason in one line; training continues without it."""


class CompileCache:
    """Cache of programs compiled by XLA for a CPU, so that only the first run waits for the compiler.

    TensorFlow 2.21 implements the cache; this class adds what it lacks, as observed in 2.21:

    - Entries are keyed by program alone, not by machine or compiler: each machine and version gets its own folder.
    - A truncated entry, or a folder that cannot be written, ends training: both are checked before training starts.
    - A program contains the names of its functions, numbered by a counter that also counts tensors. The names are the
      same for every seed (`seqgan.tracing.begin_numbering`), but not when training resumes from a checkpoint, which
      has other programs.
    - TensorFlow 2.16 and 2.18 number more than that: each process compiles again, and adds its own entries.

    Entries are written under a temporary name and then renamed, so processes may share a folder.

    Args:
        parent: contains one folder for each combination of machine and TensorFlow version.

    Attributes:
        folder: contains the entries; None before `open`, and if the cache is not enabled.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._sound: set[str] = set()  # valid entries that existed before the run
        self.folder: Path | None = None

    def open(self) -> None:
        """Removes damaged entries, and enables the cache in TensorFlow.

        Does nothing if TensorFlow has been imported already, because it reads its flags only once, or if the user's
        TF_XLA_FLAGS name a cache or a file of flags.

        Raises:
            CompileCacheError: the folder cannot be written, or its disk is nearly full.
        """
        own = os.environ.get(_FLAGS, "").strip()
        if self.folder or "tensorflow" in sys.modules or _DIRECTORY in own or (own and not own.startswith("-")):
            return
        folder = (self._parent / _machine()).absolute()
        try:
            _check_writable(folder)
            self._sound = _drop_damaged(folder)
        except OSError as error:
            raise CompileCacheError(f"{folder}: {error.strerror}") from None
        self.folder = folder
        # TensorFlow splits the value at blanks; if a flag is repeated, the last one, which is the user's, counts.
        os.environ[_FLAGS] = f'{_DIRECTORY}="{folder}" --tf_xla_persistent_cache_device_types=CPU {own}'.strip()

    def close(self) -> int:
        """Writes checksums of the entries that this run added, so that later runs can trust them; returns their number.

        Includes entries of runs at the same time, which may have rewritten an entry after its checksum was written.
        """
        if self.folder is None:
            return 0
        try:
            added = [entry for entry in self.folder.glob(_ENTRIES) if entry.name not in self._sound]
            for entry in added:
                _seal(entry).write_text(_digest(entry), encoding="ascii")
        except OSError:  # entries without a checksum are compiled again
            return 0
        return len(added)

    def describe(self, added: int) -> str | None:
        """Message on the cache's use, given the result of `close`; None if there is nothing to report."""
        if added:
            return f"programs compiled, and kept for the next run in {self.folder}: {added}"
        return f"compiled programs came from {self.folder}" if self._sound and not on_gpu() else None


def default_cache_parent() -> Path:
    """Default folder of compile caches, in the user's cache folder by the XDG Base Directory Specification."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    caches = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return caches / "loop-bench" / "xla"


def _machine() -> str:
    """Folder name derived from everything that compiled code depends on besides the program."""
    import cpuinfo  # here, because every process that makes a loop imports this module

    found = cpuinfo.get_cpu_info()
    version = _tensorflow_version()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    identity = [
        version,
        platform.system(),
        platform.machine(),
        found.get("brand_raw"),
        sorted(found.get("flags", [])),
        cores,  # compiled programs divide their work by the number of cores
        os.environ.get("XLA_FLAGS", ""),
    ]
    return f"tensorflow-{version}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]}"


def _tensorflow_version() -> str:
    """Version of the distribution that provides `tensorflow`, which may be tensorflow-cpu or a vendor's."""
    try:
        return importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version(importlib.metadata.packages_distributions()["tensorflow"][0])


def _check_writable(folder: Path) -> None:
    if '"' in str(folder):
        raise CompileCacheError(f"{folder}: TensorFlow accepts no folder with a quotation mark in its name")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    if shutil.disk_usage(folder).free < _ROOM:
        raise CompileCacheError(f"{folder}: less than {_ROOM >> 20} MiB are free on its disk")


def on_gpu() -> bool:
    """Whether TensorFlow sees a GPU, on which graphs then run by default."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _drop_damaged(folder: Path) -> set[str]:
    """Removes entries whose bytes do not match their checksum; returns the names of the others."""
    kept = set()
    for entry in folder.glob(_ENTRIES):
        seal = _seal(entry)
        if seal.exists() and seal.read_text(encoding="ascii", errors="replace") == _digest(entry):
            kept.add(entry.name)
        else:
            entry.unlink(missing_ok=True)
            seal.unlink(missing_ok=True)
    return kept


def _seal(entry: Path) -> Path:
    return entry.with_name(entry.name + _SEAL)


def _digest(entry: Path) -> str:
    return hashlib.sha256(entry.read_bytes()).hexdigest()
