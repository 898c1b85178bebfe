"""Sessions of TensorFlow's profiler, and the copies from a GPU in their traces, whether Python made them or not.

The names searched for in a trace are from the source of openxla/xla, which TensorFlow 2.21 is built from, and are in
the strings of TensorFlow 2.21.0's libraries. Traces of a CPU were examined with TensorFlow 2.16, 2.18, 2.20 and 2.21.

- `xla/tsl/profiler/utils/xplane_schema.cc`: a GPU's plane is named `/device:GPU:<number>`; the stat `memcpy_details`;
- `xla/backends/profiler/gpu/cupti_buffer_events.cc`, AddMemcpyActivityEvent: the event is named `MemcpyD2H`, or
  of another kind;
- `xla/backends/profiler/gpu/cupti_collector.cc`, CreateXEvent: the stat refers to a text such as
  `kind_src:device kind_dst:pageable size:4 dest:0 async:1`; GetDeviceXLineName: a stream's line is named
  `Stream #<number>(<types of its events>)`, and `CUPTI overhead` where one of its events is such;
- `xla/tsl/profiler/convert/post_process_single_host_xplane.cc`: times of lines count in nanoseconds from the start of
  the trace, whose Unix time is the stat `profile_start_time` of `Task Environment`. TensorFlow 2.16 writes no such
  plane; its start is taken as the time at which the profiler read its options, 7 to 40 µs before the session's own
  start in versions that record the latter.
"""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import re
import tempfile
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from loop_bench.errors import HostSyncWarning, ProfilerError
from loop_bench.hostsync.tensorflow_private import empty_trace, running_profiler

Session = weakref.ref[Any] | None
"""Weak reference to a profiler session, because TensorFlow starts no other profiler while a session is referenced.

None: this TensorFlow does not say which session is running.
"""

_GPU_PLANE: Final = re.compile(r"/device:(GPU:\d+)")
# Other lines of a GPU's plane (`Steps`, `Framework Ops`, `XLA Ops`) are derived from these and repeat their events.
_STREAM_LINE: Final = re.compile(r"Stream #\d+|CUPTI overhead")
_COPY: Final = re.compile(r"Memcpy(\w+)")
_SIZE: Final = re.compile(r"\bsize:(\d+)")
_VERSION: Final = tuple(map(int, tf.__version__.split(".")[:2]))
_ENVIRONMENT, _START_TIME = "Task Environment", "profile_start_time"
_ASKED: Final = "asked"
"""File in a trace's folder with the Unix time in nanoseconds at which the profiler read its options."""


class _Level:
    """A profiler option's value that pybind11 converts to int but not to bool.

    TensorFlow 2.21 tries each option as a bool first, which would accept an int and then ignore it. (pybind11 converts
    anything with `__bool__` to a bool, and anything with `__index__` to an int.)
    """

    def __init__(self, value: int) -> None:
        self._value = value
        self.asked = 0  # Unix time in nanoseconds at which TensorFlow last read the value

    def __index__(self) -> int:
        self.asked = time.time_ns()
        return self._value


def start(folder: Path, host_level: int) -> Session:
    """Starts the profiler for the GPUs and, up to a level (0: not at all), for the host, without Python's calls.

    Raises:
        ProfilerError: a profiler is running in this program already, or this TensorFlow's traces cannot be read.
    """
    empty_trace()
    levels = {"host_tracer_level": host_level, "python_tracer_level": 0, "device_tracer_level": 1, "delay_ms": 0}
    options = tf.profiler.experimental.ProfilerOptions(**{name: _Level(level) for name, level in levels.items()})
    folder.mkdir(parents=True, exist_ok=True)
    before = time.time_ns()
    try:
        tf.profiler.experimental.start(str(folder), options)
    except tf.errors.AlreadyExistsError as error:
        raise ProfilerError(
            "a profiler is running in this program already, such as the TensorBoard callback's, and there can be only "
            "one at a time"
        ) from error
    (folder / _ASKED).write_text(str(max(before, *(level.asked for level in options))))
    running = running_profiler()
    return None if running is None else weakref.ref(running)


def stop(session: Session) -> None:
    """Stops the profiler if this session is still the running one; the profiler then writes its trace.

    Raises:
        ProfilerError: the program has stopped the session.
    """
    # Another running session is the program's own, which stop() would end too.
    stopped = "the program has stopped the profiler that traced it"
    if session is not None and (session() is None or session() is not running_profiler()):
        raise ProfilerError(stopped)
    try:
        tf.profiler.experimental.stop()
    except tf.errors.UnavailableError as error:
        raise ProfilerError(stopped) from error


@contextlib.contextmanager
def marked(folder: Path, host_level: int, mark: str) -> Iterator[None]:
    """Traces what runs inside, and marks it with an event on the host; see `start` and `stop`."""
    session = start(folder, host_level)
    try:
        with tf.profiler.experimental.Trace(mark):
            yield
    finally:
        stop(session)


def read(folder: Path) -> Any:
    """Reads the trace (an `XSpace`) that a profiler has written below a folder.

    The trace contains its start time, or a warning that it does not.

    Raises:
        ProfilerError: there is no trace.
    """
    space = empty_trace()
    for file in folder.rglob("*.xplane.pb"):
        space.MergeFromString(file.read_bytes())
    if not space.planes:  # TensorFlow reports success even above 2 GiB, which no protocol buffer can hold
        raise ProfilerError("the profiler wrote no trace, as happens if it is too large: trace less of the run")
    asked = folder / _ASKED
    if _started(space) is None and asked.exists():
        environment = space.planes.add(name=_ENVIRONMENT)
        environment.stat_metadata[1].id, environment.stat_metadata[1].name = 1, _START_TIME
        environment.stats.add(metadata_id=1, uint64_value=int(asked.read_text()))
    elif _started(space) is None:
        space.warnings.append("it lacks its start time, from which its times count")
    return space


OPS_OF_XLA: Final = "ops of functions that XLA has compiled, in a trace of the CPU"


def lacks_ops_of_xla() -> str:
    """Why a CPU's traces show no ops of functions compiled by XLA; "" if they do."""
    # TensorFlow 2.17 was not tried.
    return f"TensorFlow {tf.__version__} traces none of XLA's ops on a CPU" if _VERSION < (2, 18) else ""


def gpus(space: Any) -> Iterator[tuple[str, Any]]:
    """Planes of the GPUs in a trace, each with its name: `GPU:n` by CUDA's numbering.

    TensorFlow's numbering is the same, unless tf.config hides GPUs or splits one.
    """
    for plane in space.planes:
        if gpu := _GPU_PLANE.fullmatch(plane.name):
            yield gpu[1], plane


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """One copy of memory from, to or within a GPU."""

    device: str  # GPU:n by CUDA's numbering; the same as TensorFlow's, unless tf.config hides GPUs or splits one
    nbytes: int  # 0: unknown
    started: float  # Unix time in seconds, by the GPU's clock
    seconds: float  # duration of the copy, without the host's wait for it
    kind: str = "D2H"  # or H2D: from the host; D2D: within the GPU


@contextlib.contextmanager
def trace_copies() -> Iterator[list[Copy]]:
    """Traces what runs inside; on leaving, fills the list with the device-to-host copies.

    The list is filled on an exception too. Without a GPU it stays empty.

    Raises:
        RuntimeError: a profiler is running in this program already; or, on leaving, the program has stopped this one,
            or there is no trace.

    Warns:
        HostSyncWarning: on leaving, if the trace reports that it is incomplete.
    """
    copies: list[Copy] = []
    with tempfile.TemporaryDirectory(prefix="hostsync-trace-") as folder:
        with _with_hint():
            session = start(Path(folder), host_level=0)
        try:
            yield copies
        finally:
            with _with_hint():
                stop(session)
            space = read(Path(folder))
            copies += device_to_host(space)
            for problem in (*space.errors, *space.warnings):
                warnings.warn(f"the trace of copies is incomplete: {problem}", HostSyncWarning, stacklevel=3)


@contextlib.contextmanager
def _with_hint() -> Iterator[None]:
    try:
        yield
    except ProfilerError as error:
        raise ProfilerError(f"{error}; --no-trace leaves the profiler to the program") from error


def device_to_host(space: Any) -> list[Copy]:
    """Device-to-host copies of all GPUs in a trace, in the order in which they started.

    Args:
        space: a `tensorflow.tsl.profiler.protobuf.xplane_pb2.XSpace`.
    """
    return of_kinds(space, "D2H")


def of_kinds(space: Any, *wanted: str) -> list[Copy]:
    """Copies of the given kinds, of all GPUs in a trace, in the order in which they started.

    Args:
        space: a `tensorflow.tsl.profiler.protobuf.xplane_pb2.XSpace`.
        wanted: kinds of copies, such as `D2H`.
    """
    started_at = trace_started(space)  # ns
    copies = []
    for gpu, plane in gpus(space):
        matches = {number: _COPY.match(metadata.name) for number, metadata in plane.event_metadata.items()}
        kinds = {number: match[1] for number, match in matches.items() if match and match[1] in wanted}
        texts = {number: text.name for number, text in plane.stat_metadata.items()}
        for line in plane.lines:
            if not _STREAM_LINE.match(line.name):
                continue
            for event in line.events:
                if event.metadata_id in kinds:
                    started = (started_at + line.timestamp_ns) * 1000 + event.offset_ps  # ps; too long for a float
                    seconds, kind = event.duration_ps / 1e12, kinds[event.metadata_id]
                    copies.append((started, Copy(gpu, _nbytes(event, texts), started / 1e12, seconds, kind)))
    copies.sort(key=operator.itemgetter(0))
    return [copy for _, copy in copies]


def _nbytes(event: Any, texts: dict[int, str]) -> int:
    """Size of a copy in bytes; 0 if it is unknown.

    Args:
        event: the copy's event.
        texts: texts of the event's plane by number: names of stats, and values that stats refer to.
    """
    for stat in event.stats:
        if texts.get(stat.metadata_id) == "memcpy_details":
            details = texts.get(stat.ref_value, "") if stat.WhichOneof("value") == "ref_value" else stat.str_value
            size = _SIZE.search(details)
            return int(size[1]) if size else 0
    return 0


def trace_started(space: Any) -> int:
    """Unix time in nanoseconds of a trace's start, from which its times count; 0 if the trace lacks it (see `read`)."""
    return _started(space) or 0


def _started(space: Any) -> int | None:
    for plane in space.planes:
        if plane.name == _ENVIRONMENT:
            for stat in plane.stats:
                if plane.stat_metadata[stat.metadata_id].name == _START_TIME:
                    return int(stat.uint64_value)
    return None
