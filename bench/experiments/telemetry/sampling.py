"""Starts the sampler of a process in which a loop trains, and reads its samples."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import IO

from typing_extensions import Self

from loop_bench.experiments.telemetry.record import Sample
from loop_bench.jobs import pool

INTERVAL = 0.1
"""Seconds from one sample to the next."""

_PATIENCE = 10.0
"""Time limit in seconds for the sampler to start, and to end; NVML can take a few."""


class Sampler:
    """Context manager in which another process samples a process and the GPUs.

    Args:
        pid: the sampled process; None: this one.
        interval: seconds from one sample to the next.

    Attributes:
        began_in_time: whether the first sample was taken before the with block began.
    """

    def __init__(self, pid: int | None = None, interval: float = INTERVAL) -> None:
        self._command = [
            sys.executable,
            "-m",
            "loop_bench.experiments.telemetry.sampler",
            str(os.getpid() if pid is None else pid),
            str(interval),
        ]

    def __enter__(self) -> Self:
        # Files without a name disappear even if this process is killed.
        self._lines, self._notes = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,  # the sampler ends when this end of it is closed
            stdout=self._lines,
            stderr=self._notes,
            env={**os.environ, **pool.loop_environment()},
        )
        self.began_in_time = self._await_first()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        finally:
            self._lines.close()
            self._notes.close()

    def samples(self) -> tuple[Sample, ...]:
        """The samples taken until now."""
        lines = _content(self._lines).splitlines(keepends=True)
        return tuple(Sample.model_validate_json(line) for line in lines if line.endswith("\n"))

    def problem(self) -> str:
        """Why samples are missing, in words; empty: the sampler is working."""
        code = self._process.poll()
        if code is None:
            return "" if self.samples() else "the sampler has taken no sample"
        notes = _content(self._notes).splitlines() or [""]
        return f"the sampler ended with code {code}: {notes[-1]}"

    def _await_first(self) -> bool:
        """Waits for the first sample, because the sampler's imports would slow the loop; whether it was taken."""
        until = time.monotonic() + _PATIENCE
        while not (sampling := bool(self.samples())) and self._process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        return sampling


def _content(file: IO[bytes]) -> str:
    """The content of a file; leaves its position, which the sampler's process shares and writes at."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")
