"""One session of TensorFlow's profiler: started, stopped, and what it wrote read.

The names were read in openxla/xla, which TensorFlow 2.21 is built from, and found again in the strings of TensorFlow
2.21.0's libraries: `xla/tsl/profiler/utils/xplane_schema.cc` (a GPU's plane is named `/device:GPU:<number>`),
`xla/backends/profiler/gpu/cupti_collector.cc` (GetDeviceXLineName: a stream's line is named
`Stream #<number>(<types of its events>)`), `xla/tsl/profiler/convert/post_process_single_host_xplane.cc` (lines begin
so many nanoseconds after the trace did, whose Unix time is the stat `profile_start_time` of `Task Environment`).
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
from tensorflow.python.profiler import profiler_v2

from bench.hostsync.errors import ProfilerError

Session = weakref.ref[Any]
"""Only a weak reference: TensorFlow has no other profiler as long as somebody holds the session of one."""

_GPU_PLANE: Final = re.compile(r"/device:(GPU:\d+)")


class _Level:
    """A number that is no int: TensorFlow 2.21 tries each option as a bool first, takes an int for one and ignores it.

    (pybind11 reads as a bool whatever has `__bool__`, and as an int whatever has `__index__`.)
    """

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


def start(folder: Path, host_level: int) -> Session:
    """Starts the profiler: the GPUs are traced, the host up to a level (0: not at all), Python's calls are not.

    Raises:
        ProfilerError: a profiler is running in this program already.
    """
    levels = {"host_tracer_level": host_level, "python_tracer_level": 0, "device_tracer_level": 1, "delay_ms": 0}
    options = tf.profiler.experimental.ProfilerOptions(**{name: _Level(level) for name, level in levels.items()})
    try:
        tf.profiler.experimental.start(str(folder), options)
    except tf.errors.AlreadyExistsError as error:
        raise ProfilerError(
            "a profiler is running in this program already, such as the TensorBoard callback's, and there can be only "
            "one"
        ) from error
    return weakref.ref(profiler_v2._profiler)


def stop(session: Session) -> None:
    """Stops the profiler, which writes its trace, if this session is still the one that runs.

    Raises:
        ProfilerError: the program has stopped it.
    """
    # Another one is the program's own, and stop() would end it as readily.
    if session() is None or session() is not profiler_v2._profiler:
        raise ProfilerError("the program has stopped the profiler that traced it")
    tf.profiler.experimental.stop()


def read(folder: Path) -> Any:
    """The trace (an `XSpace`) that a profiler has written somewhere below a folder.

    Raises:
        ProfilerError: there is none.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # only a program that traces needs it

    space = xplane_pb2.XSpace()
    for file in folder.rglob("*.xplane.pb"):
        space.MergeFromString(file.read_bytes())
    if not space.planes:  # TensorFlow reports success for one of 2 GiB too, which no protocol buffer can hold
        raise ProfilerError("the profiler wrote no trace, as happens with one that is too large: trace less")
    return space


def gpus(space: Any) -> Iterator[tuple[str, Any]]:
    """The planes of a trace that are GPUs', each with its name: `GPU:n` as CUDA counts.

    That is TensorFlow's n, too, unless tf.config hides GPUs or splits one.
    """
    for plane in space.planes:
        if gpu := _GPU_PLANE.fullmatch(plane.name):
            yield gpu[1], plane
