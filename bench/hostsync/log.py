"""Host reads: each one, the log that holds them, all those of one line, and how long they had to wait.

TensorFlow does not say whether a value is ready. On a CPU it always is, because ops run synchronously there (unless
asynchronous execution was asked for). On a GPU, or with asynchronous execution, a read that takes longer than reading
a ready value of that size does has waited; what that takes is measured once for each device. Time waited is mostly
work that was queued before, which the host would have had to wait for somewhere; it is not the price of the copy.
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
# Less than this is not told apart from the scheduler's doings and from one copy being slower than another.
_SLACK_SECONDS = 50e-6
_SLACK_FACTOR = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """One read of a tensor by the host."""

    route: str  # how: the function or operator of the call site that reads; numpy, float, bool, asarray, mean, ...
    file: str  # the call site in the user's code
    line: int
    shape: tuple[int, ...]
    dtype: str
    nbytes: int  # of the value; 0 where it stayed on the device (a DLPack export from a GPU)
    device: str  # that the value was on: CPU:0, GPU:0, ...
    seconds: float  # that the host was blocked
    asynchronous: bool  # whether the device may still have been computing the value
    thread: str
    allowed: str | None = None  # the reason, inside hostsync.allow
    library: Frame | None = None  # innermost code of a library that read for the call site; None where it read itself
    stack: tuple[Frame, ...] = ()  # innermost first; empty unless it was asked for

    @property
    def waited(self) -> float:
        """The part of `seconds` that went by before the value was ready; see the head of this file.

        To ask for it measures a device once, and drains its queue; so ask when the program is done.
        """
        return waited(self.device, self.seconds, self.nbytes) if self.asynchronous else 0.0

    @property
    def ready(self) -> bool:
        """Whether the value was there when the host asked for it."""
        return not self.waited


class Log:
    """What a recorder saw.

    Attributes:
        reads: in the order in which they ended.
        host_ops: in the graphs that were traced or loaded meanwhile, what makes the host take part in running them. How
            often they ran cannot be told from Python.
        traces: of functions, in the order in which they ended.
        session_runs: runs of TensorFlow 1 sessions; what they hand to the host is not among the reads.
        graphs_before: graphs that had been traced before, whose host ops are not known.
        unseen: what cannot be seen with this Python and TensorFlow, each with its reason; empty where all can.
        seconds: that the recording lasted; 0 while it goes on.
        seconds_tracing: of them, spent on tracing functions.
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
    """All the reads that one line made by one route."""

    file: str
    line: int
    route: str
    reads: int
    nbytes: int
    seconds: float  # that the host was blocked
    waits: int  # reads whose value was not ready
    waited: float  # seconds of those in `seconds` that went by before values were ready
    allowed: int  # reads inside hostsync.allow
    threads: tuple[str, ...]
    # Code of libraries that read for the line, innermost first, and how often; more than one frame only of a stack.
    readers: tuple[tuple[tuple[Frame, ...], int], ...] = ()

    @property
    def source(self) -> str:
        """The line; empty where the file is not there."""
        return source_line(self.file, self.line)


def by_site(reads: Iterable[Read]) -> tuple[Site, ...]:
    """One site for each line and route, those with most reads first."""
    gathered: dict[tuple[str, int, str], list[Read]] = collections.defaultdict(list)
    for read in reads:
        gathered[read.file, read.line, read.route].append(read)
    sites = (
        Site(
            file=file,
            line=line,
            route=route,
            reads=len(found),
            nbytes=sum(read.nbytes for read in found),
            seconds=sum(read.seconds for read in found),
            waits=sum(not read.ready for read in found),
            waited=sum(read.waited for read in found),
            allowed=sum(read.allowed is not None for read in found),
            threads=tuple(dict.fromkeys(read.thread for read in found)),
            readers=tuple(collections.Counter(filter(None, map(_readers, found))).most_common()),
        )
        for (file, line, route), found in gathered.items()
    )
    return tuple(sorted(sites, key=lambda site: (-site.reads, site.file, site.line, site.route)))


def _readers(read: Read) -> tuple[Frame, ...]:
    return library_frames(read.stack) or ((read.library,) if read.library else ())


@dataclasses.dataclass(frozen=True)
class ReadTime:
    """What it takes to read a value that is ready."""

    fixed: float  # seconds
    per_byte: float  # seconds

    def waited(self, seconds: float, nbytes: int) -> float:
        """Seconds that a read waited, of those that it took; 0 where it may as well not have waited at all."""
        own = self.fixed + self.per_byte * nbytes
        return seconds - own if seconds > _SLACK_FACTOR * own + _SLACK_SECONDS else 0.0


def is_asynchronous(device: str) -> bool:
    """Whether values of the device may still be computed when the host has gone on."""
    return not device.startswith("CPU") or not tf.config.experimental.get_synchronous_execution()


def waited(device: str, seconds: float, nbytes: int) -> float:
    """The seconds of a read that its value was not ready.

    Args:
        device: of the value, such as `GPU:0`; one that computes asynchronously.
        seconds: that the read took.
        nbytes: of the value.
    """
    if seconds <= _SLACK_SECONDS:
        return 0.0  # nothing to measure the device for
    return read_time(device).waited(seconds, nbytes)


@functools.cache
def read_time(device: str) -> ReadTime:
    """What reading a ready value of this device takes; the first call measures it and drains the device's queue."""
    small, large = _fastest(device, _SMALL), _fastest(device, _LARGE)
    return ReadTime(fixed=small, per_byte=max(0.0, large - small) / (4 * (_LARGE - _SMALL)))


def _fastest(device: str, numbers: int) -> float:
    found = []
    with tf.init_scope():  # whoever asks may be tracing a function
        with tf.device(device):
            values = [tf.zeros([numbers]) + number for number in range(_REPEATS)]
        tf.test.experimental.sync_devices()
        for value in values:  # another each time: TensorFlow may keep a copy of one that was read
            started = time.perf_counter()
            READ(value)
            found.append(time.perf_counter() - started)
    return min(found)
