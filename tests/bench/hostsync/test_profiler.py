import pytest
import tensorflow as tf
from tensorflow.python.profiler import profiler_v2
from tensorflow.tsl.profiler.protobuf import profiler_options_pb2, xplane_pb2

from bench.hostsync import profiler
from bench.hostsync.errors import ProfilerError


def levels(space):
    environment = next(plane for plane in space.planes if plane.name == "Task Environment")
    written = next(stat.bytes_value for stat in environment.stats if stat.bytes_value)
    options = profiler_options_pb2.ProfileOptions.FromString(written)
    return options.host_tracer_level, options.python_tracer_level, options.device_tracer_level


@pytest.mark.parametrize("host_level", [0, 2, 3])
def test_traces_the_host_up_to_a_level(tmp_path, host_level):
    session = profiler.start(tmp_path, host_level)
    with tf.profiler.experimental.Trace("here"):
        pass
    profiler.stop(session)
    space = profiler.read(tmp_path)
    assert levels(space) == (host_level, 0, 1)
    names = {event.name for plane in space.planes for event in plane.event_metadata.values()}
    assert ("here" in names) == (host_level > 0)


def test_one_at_a_time(tmp_path):
    session = profiler.start(tmp_path, 0)
    with pytest.raises(ProfilerError, match="a profiler is running in this program already"):
        profiler.start(tmp_path, 0)
    assert session() is profiler_v2._profiler
    profiler.stop(session)
    with pytest.raises(ProfilerError, match="has stopped the profiler"):
        profiler.stop(session)


def test_no_trace_is_no_empty_one(tmp_path):
    with pytest.raises(ProfilerError, match="wrote no trace"):
        profiler.read(tmp_path)


def test_planes_of_gpus():
    space = xplane_pb2.XSpace()
    for name in ("/host:CPU", "/device:GPU:0", "/device:GPU:", "/device:TPU:0", "/device:GPU:12", "x/device:GPU:0"):
        space.planes.add(name=name)
    assert [(name, plane.name) for name, plane in profiler.gpus(space)] == [
        ("GPU:0", "/device:GPU:0"),
        ("GPU:12", "/device:GPU:12"),
    ]
