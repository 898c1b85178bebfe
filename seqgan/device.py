"""TensorFlow on this machine: its start without notes, its device, and the cache of programs compiled by XLA."""

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
    """Imports TensorFlow and lets it look for devices, without the notes that it writes meanwhile.

    TensorFlow 2.21 writes them past TF_CPP_MIN_LOG_LEVEL (tensorflow/tensorflow issue 100442), so standard
    error is set aside for that moment; when the import fails, what was written is shown after all. Someone who
    has set TF_CPP_MIN_LOG_LEVEL gets what they asked for.
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

            tf.config.list_physical_devices()  # and not the logical ones, which a loop may still have to configure
            failed = False
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            if failed:
                aside.seek(0)
                sys.stderr.write(aside.read().decode(errors="replace"))


@contextlib.contextmanager
def importing_tensorflow() -> Iterator[None]:
    """Has Python not search the half a million objects that are made in here for garbage, of which there is none.

    Meanwhile it would do so a hundred times, which is a quarter of the import; and again and again when it leaves,
    where once is enough, for files that were left open.
    """
    atexit.register(gc.freeze)
    atexit.register(gc.collect)  # what is registered last comes first
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def device_name() -> str:
    """What the work will run on, for a person to read."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU (TensorFlow sees no GPU; with TF_CPP_MIN_LOG_LEVEL=0 it says why)"
    return ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus)


def default_preset() -> str:
    """`script` where TensorFlow sees a GPU, `paper` where not."""
    return "script" if on_gpu() else "paper"


class CompileCacheError(Exception):
    """Why there can be no cache, in one line; training goes on without."""


class CompileCache:
    """Programs compiled by XLA for a CPU, kept from run to run, so that only the first one waits for the compiler.

    TensorFlow 2.21 has the cache; what it leaves to us, as seen there:

    - An entry is found by program alone, not by the machine or the compiler: each of these has a folder of its own.
    - An entry cut short, or a folder that cannot be written, ends training: both are looked for before it begins.
    - A program holds the names of its functions, numbered by a counter that also counts tensors. They are the same
      from every seed (`seqgan.tracing.begin_numbering`), but not when training goes on from a checkpoint, whose
      programs are others.
    - TensorFlow 2.16 and 2.18 number more than that: each process compiles anew, and adds its own entries.

    Entries are written whole under another name first, so processes may share a folder.

    Args:
        parent: holds one folder for each machine and TensorFlow that has used it.

    Attributes:
        folder: holds the entries; None before `open`, and for good where TensorFlow is not told of it.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._sound: set[str] = set()  # entries before the run
        self.folder: Path | None = None

    def open(self) -> None:
        """Drops entries that are not as they were written, and tells TensorFlow of the folder.

        Does nothing where TensorFlow has been imported, for it reads its flags once, or where the user's
        TF_XLA_FLAGS name a cache or a file of flags.

        Raises:
            CompileCacheError: the folder cannot be written, or its disk is all but full.
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
        # TensorFlow splits it at blanks; of a flag given twice, the last, which is the user's, counts.
        os.environ[_FLAGS] = f'{_DIRECTORY}="{folder}" --tf_xla_persistent_cache_device_types=CPU {own}'.strip()

    def close(self) -> int:
        """Seals the entries that this run added, so that the next one can trust them; gives their number.

        Those of a run beside this one are among them: it may have written one anew after it was sealed.
        """
        if self.folder is None:
            return 0
        try:
            added = [entry for entry in self.folder.glob(_ENTRIES) if entry.name not in self._sound]
            for entry in added:
                _seal(entry).write_text(_digest(entry), encoding="ascii")
        except OSError:  # unsealed, they are compiled again
            return 0
        return len(added)

    def describe(self, added: int) -> str | None:
        """Where a run's compiled programs came from, given what `close` gave; None if there is nothing to say."""
        if added:
            return f"programs compiled, and kept for the next run in {self.folder}: {added}"
        return f"compiled programs came from {self.folder}" if self._sound and not on_gpu() else None


def default_cache_parent() -> Path:
    """Where a user's caches are, by the XDG Base Directory Specification."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    caches = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return caches / "loop-bench" / "xla"


def _machine() -> str:
    """A folder's name for all that machine code depends on but the program does not say."""
    import cpuinfo  # here, for every process that makes a loop imports this module

    found = cpuinfo.get_cpu_info()
    version = _tensorflow_version()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    identity = [
        version,
        platform.system(),
        platform.machine(),
        found.get("brand_raw"),
        sorted(found.get("flags", [])),
        cores,  # work is cut into as many parts
        os.environ.get("XLA_FLAGS", ""),
    ]
    return f"tensorflow-{version}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]}"


def _tensorflow_version() -> str:
    """The version of the distribution that `tensorflow` is imported from, which may be tensorflow-cpu or a vendor's."""
    try:
        return importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version(importlib.metadata.packages_distributions()["tensorflow"][0])


def _check_writable(folder: Path) -> None:
    if '"' in str(folder):
        raise CompileCacheError(f"{folder}: TensorFlow takes no folder with a quotation mark in its name")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    if shutil.disk_usage(folder).free < _ROOM:
        raise CompileCacheError(f"{folder}: less than {_ROOM >> 20} MiB are free")


def on_gpu() -> bool:
    """Whether TensorFlow sees a GPU, where its graphs then run unless told otherwise."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _drop_damaged(folder: Path) -> set[str]:
    """Removes entries whose bytes are not those that were sealed; gives the names of the others."""
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
