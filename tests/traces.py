"""Traces of TensorFlow's profiler, and profiles made from them, for tests."""

import datetime

from records import ENVIRONMENT
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from loop_bench.experiments.profile.events import MARK
from loop_bench.experiments.profile.figures import OpEvent, Traced, summary
from loop_bench.experiments.profile.record import ProfileRecord, Timed
from loop_bench.settings import Settings


def number_of(text, metadata):
    """Number of a text in a plane's metadata, to which it is added if missing."""
    for number, known in metadata.items():
        if known.name == text:
            return number
    number = len(metadata) + 1
    metadata[number].id, metadata[number].name = number, text
    return number


def add(plane, line, name, begin=0, duration=0, **stats):
    """Adds an event that begins `begin` ps after its line, with stats that are whole numbers or texts."""
    event = line.events.add(metadata_id=number_of(name, plane.event_metadata), offset_ps=begin, duration_ps=duration)
    for key, value in stats.items():
        stat = event.stats.add(metadata_id=number_of(key, plane.stat_metadata))
        if isinstance(value, str):
            stat.ref_value = number_of(value, plane.stat_metadata)
        else:
            stat.uint64_value = value


def marked(begin=1000, end=11_000):
    """A trace with only a marked stretch on the thread `python`, with its host plane and that thread's line."""
    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="/host:CPU")
    line = plane.lines.add(name="python", timestamp_ns=1)  # its events count from 1000 ps on
    add(plane, line, MARK, begin - 1000, end - begin)
    return space, plane, line


def op(begin, end, left=None, name="a", kind=None, thread=0):
    return OpEvent(name, kind or name, thread, begin, end if left is None else left, end)


SECOND = 10**12


def profile(factory="a:b", device="CPU", ops=None, seconds=2.0, untraced=(1.0, 1.5), problems=()):
    """A profile of 2 s with 1 s of `x.1`, half of it at the same time as `y`."""
    found = (
        ops if ops is not None else [op(0, SECOND, name="x.1", kind="x"), op(SECOND // 2, SECOND, name="y", thread=1)]
    )
    traced = Traced(device, tuple(found), 0, 2 * SECOND, problems)
    beside = tuple(Timed(seconds=each, cpu_seconds=2 * each) for each in untraced)
    return summary(factory, traced, Timed(seconds=seconds, cpu_seconds=3.0), beside)


def profile_record(**changes):
    values = {
        "created": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
        "environment": ENVIRONMENT,
        "settings": Settings(before="a:b", after="c:d", preset="tiny", seed=3, batches=10),
        "arms": {"before": profile("a:b"), "after": profile("c:d")},
    }
    return ProfileRecord(**{**values, **changes})
