"""Writing files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from loop_bench.errors import UsageError


def write_whole(path: Path, content: str | bytes) -> Path:
    """Writes a file, text as UTF-8, so that neither a reader nor a crash ever meets half of it; returns its path.

    Raises:
        UsageError: the folder cannot be created or written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"folder {path.parent}: cannot be written ({error.strerror})") from None
    return path
