"""Host reads and their log, reads grouped by line, and the time that reads waited for values.

TensorFlow does not say whether a value is ready. On a CPU it always is, because ops run synchronously there, unless
asynchronous execution is enabled. On a GPU, or with asynchronous execution, a read has waited if it takes longer than
reading a ready value of that size, which is measured once for each device. The time waited is mostly work that was
queued before, for which the host would have had to wait somewhere; it is not the cost of the copy.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import time
from collections.abc import Iterable

import tensorflow as tf

from loop_bench.hostsync.callsite import library_frames
from loop_bench.hostsync.graphs import HostOp
from loop_bench.hostsync.hooks import READ
from loop_bench.hostsync.tracing import Trace
from loop_bench.source import Frame, source_line

_SMALL, _LARGE = 1, 1 << 20  # float32 numbers
_REPEATS = 7
# Shorter waits cannot be distinguished from scheduling delays and from variation between copies.
_SLACK_SECONDS = 50e-6
_SLACK_FACTOR = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """One read of a tensor by the host."""

    route: str  # function or operator that reads, at the call site: numpy, float, bool, asarray, mean, ...
    file: str  # call site in the user's code
    line: int
    shape: tuple[int, ...]
    dtype: str
    nbytes: int  # bytes of the value; 0 if it stayed on the device (a DLPack export from a GPU)
    device: str  # device of the value: CPU:0, GPU:0, ...
    seconds: float  # time that the host was blocked
    asynchronous: bool  # whether the device may still have been computing the value
    thread: str
    allowed: str | None = None  # reason given to hostsync.allow; None: not allowed
    library: Frame | None = None  # innermost code of a library that read for the call site; None: it read itself
    stack: tuple[Frame, ...] = ()  # frames, innermost first; empty unless requested

    @property
    def waited(self) -> float:
        """Seconds that the read waited for the value, part of `seconds`.

        The first use measures the device, which drains its queue; so use it when the program is done.
        """
        return waited(self.device, self.seconds, self.nbytes) if self.asynchronous else 0.0

    @property
    def ready(self) -> bool:
        """Whether the value was ready when the host read it."""
        return not self.waited


class Log:
    """Everything that one recording saw.

    Attributes:
        reads: reads, in the order in which they ended.
        host_ops: host ops in the graphs that were traced or loaded during the recording. Python cannot see how often
            they ran.
        traces: traces of functions, in the order in which they ended.
        session_runs: runs of TensorFlow 1 sessions; what they read is not among the reads.
        graphs_before: graphs that had been traced before the recording, whose host ops are unknown.
        unseen: routes that cannot be seen with this Python and TensorFlow, each with its reason; empty if all can.
        seconds: duration of the recording; 0 while it is in progress.
        seconds_tracing: seconds of the recording that were spent on tracing functions.
    """

    def __init__(self, unseen: tuple[str, ...] = (), graphs_before: int = 0) -> None:
        self.reads: list[Read] = []
        self.host_ops: list[HostOp] = []
        self.traces: list[Trace] = []
        self.session_runs = 0
        self.graphs_before = graphs_before
        self.unseen = unseen
        self.seconds = 0.0
        self.seconds_tracing = 0.0


@dataclasses.dataclass(frozen=True)
class Site:
    """All reads that one line made by one route."""

    file: str
    line: int
    route: str
    reads: int
    nbytes: int
    seconds: float  # time that the host was blocked
    waits: int  # reads whose value was not ready
    waited: float  # time that reads waited for values, part of `seconds`
    allowed: int  # reads inside hostsync.allow
    threads: tuple[str, ...]
    # Library code that read for the line, innermost frame first, and how often; several frames only with stacks.
    readers: tuple[tuple[tuple[Frame, ...], int], ...] = ()

    @property
    def source(self) -> str:
        """Source of the line; empty if the file is missing."""
        return source_line(self.file, self.line)


def by_site(reads: Iterable[Read]) -> tuple[Site, ...]:
    """Groups reads by line and route, the sites with most reads first."""
    groups: dict[tuple[str, int, str], list[Read]] = collections.defaultdict(list)
    for read in reads:
        groups[read.file, read.line, read.route].append(read)
    sites = (
        Site(
            file=file,
            line=line,
            route=route,
            reads=len(group),
            nbytes=sum(read.nbytes for read in group),
            seconds=sum(read.seconds for read in group),
            waits=sum(not read.ready for read in group),
            waited=sum(read.waited for read in group),
            allowed=sum(read.allowed is not None for read in group),
            threads=tuple(dict.fromkeys(read.thread for read in group)),
            readers=tuple(collections.Counter(filter(None, map(_readers, group))).most_common()),
        )
        for (file, line, route), group in groups.items()
    )
    return tuple(sorted(sites, key=lambda site: (-site.reads, site.file, site.line, site.route)))


def _readers(read: Read) -> tuple[Frame, ...]:
    return library_frames(read.stack) or ((read.library,) if read.library else ())


@dataclasses.dataclass(frozen=True)
class ReadTime:
    """Time to read a ready value from a device."""

    fixed: float  # seconds per read
    per_byte: float  # seconds per byte

    def waited(self, seconds: float, nbytes: int) -> float:
        """Seconds that a read waited, of the seconds that it took; 0 if the difference may be noise."""
        ready = self.fixed + self.per_byte * nbytes
        return seconds - ready if seconds > _SLACK_FACTOR * ready + _SLACK_SECONDS else 0.0


def is_asynchronous(device: str) -> bool:
    """Whether the device may still compute a value after the host's call has returned."""
    return not device.startswith("CPU") or not tf.config.experimental.get_synchronous_execution()


def waited(device: str, seconds: float, nbytes: int) -> float:
    """Seconds that a read waited for its value.

    Args:
        device: device of the value, such as `GPU:0`; one that computes asynchronously.
        seconds: duration of the read.
        nbytes: bytes of the value.
    """
    if seconds <= _SLACK_SECONDS:
        return 0.0  # never a wait, so the device need not be measured
    return read_time(device).waited(seconds, nbytes)


@functools.cache
def read_time(device: str) -> ReadTime:
    """Time to read a ready value from this device; the first call measures it, which drains the device's queue."""
    small, large = _fastest(device, _SMALL), _fastest(device, _LARGE)
    return ReadTime(fixed=small, per_byte=max(0.0, large - small) / (4 * (_LARGE - _SMALL)))


def _fastest(device: str, numbers: int) -> float:
    durations = []
    with tf.init_scope():  # the caller may be tracing a function
        with tf.device(device):
            values = [tf.zeros([numbers]) + number for number in range(_REPEATS)]
        tf.test.experimental.sync_devices()
        for value in values:  # a new value each time, because TensorFlow may keep a copy of one that was read
            started = time.perf_counter()
            READ(value)
            durations.append(time.perf_counter() - started)
    return min(durations)
