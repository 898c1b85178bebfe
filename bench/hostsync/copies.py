"""Device-to-host copies as a trace of TensorFlow's profiler shows them, whether or not Python took part in them.

What is looked for in the trace was read in openxla/xla, which TensorFlow 2.21 is built from, and found again in the
strings of TensorFlow 2.21.0's libraries:

- `xla/tsl/profiler/utils/xplane_schema.cc`: a GPU's plane is named `/device:GPU:<number>`, the stat `memcpy_details`;
- `xla/backends/profiler/gpu/cupti_buffer_events.cc`, AddMemcpyActivityEvent: the event is named `MemcpyD2H`;
- `xla/backends/profiler/gpu/cupti_collector.cc`, CreateXEvent: the stat refers to a text such as
  `kind_src:device kind_dst:pageable size:4 dest:0 async:1`; GetDeviceXLineName: a stream's line is named
  `Stream #<number>(<types of its events>)`, and `CUPTI overhead` where one of its events is such;
- `xla/tsl/profiler/convert/post_process_single_host_xplane.cc`: lines begin so many nanoseconds after the trace did,
  whose Unix time is the stat `profile_start_time` of the plane `Task Environment`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import re
import tempfile
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
from tensorflow.python.profiler import profiler_v2

from bench.hostsync.errors import HostSyncWarning

_GPU_PLANE: Final = re.compile(r"/device:(GPU:\d+)")
# Other lines of a GPU's plane (`Steps`, `Framework Ops`, `XLA Ops`) are derived from these and show an event again.
_STREAM_LINE: Final = re.compile(r"Stream #\d+|CUPTI overhead")
_COPY: Final = re.compile(r"MemcpyD2H\b")
_SIZE: Final = re.compile(r"\bsize:(\d+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """One copy of memory from a GPU to the host."""

    device: str  # GPU:n as CUDA counts; TensorFlow's n, too, unless tf.config hides GPUs or splits one
    nbytes: int  # 0 where the trace does not say
    started: float  # Unix time in seconds, by the GPU's clock
    seconds: float  # that the copy itself took, without the host's waiting for it


class _Level:
    """A number that is no int: TensorFlow 2.21 tries each option as a bool first, takes an int for one and ignores it.

    (pybind11 reads as a bool whatever has `__bool__`, and as an int whatever has `__index__`.)
    """

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


@contextlib.contextmanager
def trace_copies() -> Iterator[list[Copy]]:
    """Traces what runs inside, and fills the list with its device-to-host copies when it is left.

    It is filled when an exception leaves the context, too. Without a GPU it stays empty.

    Raises:
        RuntimeError: a profiler is running in this program already; or, on leaving, the program has stopped this one,
            or there is no trace.

    Warns:
        HostSyncWarning: on leaving, where the trace says of itself that it is not whole.
    """
    copies: list[Copy] = []
    with tempfile.TemporaryDirectory(prefix="hostsync-trace-") as folder:
        session = _start(folder)
        try:
            yield copies
        finally:
            _stop(session)
            space = _written(Path(folder))
            copies += device_to_host(space)
            for problem in (*space.errors, *space.warnings):
                warnings.warn(f"the trace of copies is not whole: {problem}", HostSyncWarning, stacklevel=3)


def device_to_host(space: Any) -> list[Copy]:
    """The device-to-host copies of all GPUs in a trace, in the order in which they started.

    Args:
        space: a `tensorflow.tsl.profiler.protobuf.xplane_pb2.XSpace`.
    """
    trace_started = _trace_started(space)  # ns
    found = []
    for plane in space.planes:
        gpu = _GPU_PLANE.fullmatch(plane.name)
        if not gpu:
            continue
        kinds = {number for number, kind in plane.event_metadata.items() if _COPY.match(kind.name)}
        texts = {number: text.name for number, text in plane.stat_metadata.items()}
        for line in plane.lines:
            if not _STREAM_LINE.match(line.name):
                continue
            for event in line.events:
                if event.metadata_id in kinds:
                    started = (trace_started + line.timestamp_ns) * 1000 + event.offset_ps  # a float would round it
                    copy = Copy(gpu[1], _nbytes(event, texts), started / 1e12, event.duration_ps / 1e12)
                    found.append((started, copy))
    found.sort(key=operator.itemgetter(0))
    return [copy for _, copy in found]


def _nbytes(event: Any, texts: dict[int, str]) -> int:
    """The bytes of a copy.

    Args:
        event: of the copy.
        texts: of its plane, by number; names of stats, and what stats refer to.
    """
    for stat in event.stats:
        if texts.get(stat.metadata_id) == "memcpy_details":
            details = texts.get(stat.ref_value, "") if stat.WhichOneof("value") == "ref_value" else stat.str_value
            size = _SIZE.search(details)
            return int(size[1]) if size else 0
    return 0


def _trace_started(space: Any) -> int:
    """The Unix time in nanoseconds that a trace's own times count from; 0 where they are Unix times themselves."""
    for plane in space.planes:
        if plane.name == "Task Environment":
            for stat in plane.stats:
                if plane.stat_metadata[stat.metadata_id].name == "profile_start_time":
                    return int(stat.uint64_value)
    return 0


def _start(folder: str) -> weakref.ref[Any]:
    """Starts TensorFlow's profiler: the GPUs are traced, the host is not. Returns its session.

    Only a weak reference: TensorFlow has no other profiler as long as somebody holds the session of one.
    """
    levels = {"host_tracer_level": 0, "python_tracer_level": 0, "device_tracer_level": 1, "delay_ms": 0}
    options = tf.profiler.experimental.ProfilerOptions(**{name: _Level(level) for name, level in levels.items()})
    try:
        tf.profiler.experimental.start(folder, options)
    except tf.errors.AlreadyExistsError as error:
        raise RuntimeError(
            "a profiler is running in this program already, such as the TensorBoard callback's, and there can be only "
            "one: --no-trace leaves it alone"
        ) from error
    return weakref.ref(profiler_v2._profiler)


def _stop(session: weakref.ref[Any]) -> None:
    """Stops the profiler, which writes its trace, if this session is still the one that runs."""
    # Another one is the program's own, and stop() would end it as readily.
    if session() is None or session() is not profiler_v2._profiler:
        raise RuntimeError(
            "the program has stopped the profiler that traced its copies, so not all of them are known: --no-trace "
            "leaves the profiler to the program"
        )
    tf.profiler.experimental.stop()


def _written(folder: Path) -> Any:
    """The trace that the profiler has written somewhere below a folder."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # only a program that traces needs it

    space = xplane_pb2.XSpace()
    for file in folder.rglob("*.xplane.pb"):
        space.MergeFromString(file.read_bytes())
    if not space.planes:  # TensorFlow reports success for one of 2 GiB too, which no protocol buffer can hold
        raise RuntimeError("the profiler wrote no trace of copies, as happens with one that is too large: trace less")
    return space
