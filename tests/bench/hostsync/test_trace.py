import contextlib
import operator
import tempfile
import time

import pytest
import tensorflow as tf
from tensorflow.python.profiler import profiler_v2
from tensorflow.tsl.profiler.protobuf import profiler_options_pb2, xplane_pb2
from traces import number_of

from loop_bench import hostsync
from loop_bench.errors import ProfilerError
from loop_bench.hostsync import trace
from loop_bench.hostsync.log import read_time
from loop_bench.hostsync.reconcile import reconcile
from loop_bench.hostsync.trace import Copy, device_to_host, of_kinds, trace_copies

STARTED = 1_700_000_000_000_000_000  # Unix time in ns of every trace below
DETAILS = "kind_src:device kind_dst:pageable size:{} dest:0 async:1"


def add_event(plane, line, name, details=None, offset=0, duration=0, by_reference=True):
    """An event that begins a number of ps after its line."""
    event = line.events.add(metadata_id=number_of(name, plane.event_metadata), offset_ps=offset, duration_ps=duration)
    event.stats.add(metadata_id=number_of("correlation_id", plane.stat_metadata), uint64_value=7)
    if details is not None:
        stat = event.stats.add(metadata_id=number_of("memcpy_details", plane.stat_metadata))
        if by_reference:
            stat.ref_value = number_of(details, plane.stat_metadata)
        else:
            stat.str_value = details


@pytest.fixture
def space():
    """A trace without lines."""
    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="Task Environment")
    for name, moment in (("profile_stop_time", STARTED + 10**9), ("profile_start_time", STARTED)):
        plane.stats.add(metadata_id=number_of(name, plane.stat_metadata), uint64_value=moment)
    return space


@pytest.fixture
def plane(space):
    """The trace's plane of the first GPU."""
    return space.planes.add(name="/device:GPU:0")


@pytest.fixture
def line(plane):
    """The line of the GPU's stream for copies to the host."""
    return plane.lines.add(name="Stream #20(MemcpyD2H)")


def sizes(space):
    return [copy.nbytes for copy in device_to_host(space)]


def test_a_copy_has_its_device_bytes_and_times(space, plane, line):
    line.timestamp_ns = 500_000_000
    add_event(plane, line, "MemcpyD2H", DETAILS.format(4), offset=250_000_000_000, duration=1_500_000)
    assert device_to_host(space) == [Copy("GPU:0", 4, STARTED / 1e9 + 0.75, 1.5e-6)]


def test_other_copies_kernels_and_copies_of_other_planes_are_none(space, plane, line):
    for name in (
        "MemcpyH2D",
        "MemcpyD2D",
        "MemcpyH2H",
        "MemcpyP2P",
        "MemcpyOther",
        "MemcpyD2HD2H",
        "Memset 2",
        "XMemcpyD2H",
    ):
        add_event(plane, line, name, DETAILS.format(8))
    add_event(plane, line, "void gemm<float>()")
    for name in ("/host:CPU", "/device:TPU:0", "/device:GPU:", "/device:GPU:0 x", "x/device:GPU:0"):
        other = space.planes.add(name=name)
        add_event(other, other.lines.add(name="Stream #20(MemcpyD2H)"), "MemcpyD2H", DETAILS.format(16))
    assert device_to_host(space) == []
    add_event(plane, line, "MemcpyD2H", DETAILS.format(32))
    assert sizes(space) == [32]


def test_copies_of_the_kinds_that_are_asked_for(space, plane, line):
    for offset, name in enumerate(("MemcpyD2H", "MemcpyH2D", "MemcpyD2D", "MemcpyP2P", "Memset 2")):
        add_event(plane, line, name, DETAILS.format(8 + offset), offset=offset)
    assert [(copy.kind, copy.nbytes) for copy in of_kinds(space, "H2D", "D2D")] == [("H2D", 9), ("D2D", 10)]
    assert device_to_host(space) == of_kinds(space, "D2H")


def test_a_copy_counts_once_however_many_lines_show_it(space, plane, line):
    add_event(plane, line, "MemcpyD2H", DETAILS.format(4))
    for name in ("Steps", "Framework Name Scope", "Framework Ops", "XLA Modules", "XLA Ops", "Source code", ""):
        add_event(plane, plane.lines.add(name=name), "MemcpyD2H", DETAILS.format(4))
    assert sizes(space) == [4]


@pytest.mark.parametrize(
    "name", ["Stream #7", "Stream #7(Kernel,MemcpyD2H,MemcpyH2D)", "Stream #268435458(MemcpyD2H)", "CUPTI overhead"]
)
def test_every_stream_of_a_gpu_is_looked_at(space, plane, line, name):
    add_event(plane, line, "MemcpyD2H", DETAILS.format(4))
    add_event(plane, plane.lines.add(name=name, timestamp_ns=1000), "MemcpyD2H", DETAILS.format(8))
    assert sizes(space) == [4, 8]


@pytest.mark.parametrize("by_reference", [True, False])
@pytest.mark.parametrize(
    ("details", "nbytes"),
    [
        (DETAILS.format(4194304), 4194304),
        (DETAILS.format(0), 0),
        (DETAILS.format(2**33), 2**33),
        ("size:12 dest:0 async:0", 12),
        ("kind_src:device pagesize:64 size:5", 5),
        ("kind_src:device", 0),
    ],
)
def test_bytes_are_read_from_the_details(space, plane, line, details, nbytes, by_reference):
    add_event(plane, line, "MemcpyD2H", details, by_reference=by_reference)
    assert sizes(space) == [nbytes]


def test_a_copy_that_does_not_say_its_bytes_is_one_nevertheless(space, plane, line):
    add_event(plane, line, "MemcpyD2H")
    assert sizes(space) == [0]


def test_a_name_with_a_suffix_is_a_copy(space, plane, line):
    add_event(plane, line, "MemcpyD2H (CudaGraph:3)", DETAILS.format(4))
    assert sizes(space) == [4]


def test_copies_of_all_gpus_are_in_the_order_in_which_they_started(space):
    for number, offsets in ((1, (30, 5)), (0, (20, 10)), (12, (1, 40))):
        plane = space.planes.add(name=f"/device:GPU:{number}")
        for which, offset in enumerate(offsets):
            # Each plane has numbers of its own, and the picoseconds are fewer than a float of Unix time can tell.
            line = plane.lines.add(name=f"Stream #{which}(MemcpyD2H)", timestamp_ns=1)
            add_event(plane, line, f"kernel {offset}")
            add_event(plane, line, "MemcpyD2H", DETAILS.format(offset), offset=offset)
    found = device_to_host(space)
    assert [copy.nbytes for copy in found] == [1, 5, 10, 20, 30, 40]
    assert [copy.device for copy in found] == ["GPU:12", "GPU:1", "GPU:0", "GPU:0", "GPU:1", "GPU:12"]


def test_a_line_that_begins_later_has_later_copies(space, plane, line):
    late = plane.lines.add(name="Stream #8(MemcpyD2H)", timestamp_ns=2)
    add_event(plane, late, "MemcpyD2H", DETAILS.format(1))
    line.timestamp_ns = 1
    add_event(plane, line, "MemcpyD2H", DETAILS.format(2), offset=999)
    add_event(plane, line, "MemcpyD2H", DETAILS.format(3), offset=1001)
    assert sizes(space) == [2, 1, 3]


def test_without_the_time_of_its_start_a_trace_has_unix_times(plane, line, space):
    del space.planes[0]
    plane, line = space.planes[0], space.planes[0].lines[0]
    line.timestamp_ns = STARTED
    add_event(plane, line, "MemcpyD2H", DETAILS.format(4), offset=10**12)
    assert device_to_host(space)[0].started == STARTED / 1e9 + 1


def test_the_trace_is_not_changed(space, plane, line):
    event = line.events.add(metadata_id=99)  # of no name, with a stat of no name
    event.stats.add(metadata_id=98, ref_value=97)
    add_event(plane, line, "MemcpyD2H", DETAILS.format(4))
    line.events[1].stats[-1].ref_value = 96
    before = space.SerializeToString(deterministic=True)
    assert sizes(space) == [0]
    assert space.SerializeToString(deterministic=True) == before


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Parent of temporary folders; also stops a profiler that a failing test has left running."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    with contextlib.suppress(tf.errors.UnavailableError):
        tf.profiler.experimental.stop(save=False)


def compute():
    with tf.device("CPU:0"):
        return float(tf.reduce_sum(tf.ones([8, 8]) @ tf.ones([8, 8])))


def assert_no_profiler_runs():
    with pytest.raises(tf.errors.UnavailableError):
        tf.profiler.experimental.stop(save=False)


@pytest.fixture
def traces(monkeypatch):
    """Traces that were read, each with a planted copy."""
    seen = []

    def planted(space):
        seen.append(space)
        plane = space.planes.add(name="/device:GPU:0")
        add_event(plane, plane.lines.add(name="Stream #1(MemcpyD2H)"), "MemcpyD2H", DETAILS.format(4))
        return device_to_host(space)

    monkeypatch.setattr(trace, "device_to_host", planted)
    return seen


def test_a_program_on_the_cpu_has_no_copies_and_leaves_nothing_behind(folders):
    for _ in range(2):
        with trace_copies() as found:
            compute()
            assert list(folders.iterdir())  # it is there that the trace is written
        assert found == []
        assert not list(folders.iterdir())
        assert_no_profiler_runs()


def test_the_list_is_filled_on_leaving(folders, traces):
    before = time.time()
    with trace_copies() as found:
        compute()
        assert found == []
    assert [(copy.device, copy.nbytes) for copy in found] == [("GPU:0", 4)]
    assert before <= found[0].started <= time.time()


def test_only_devices_are_traced(folders, traces):
    with trace_copies():
        compute()
    (space,) = traces
    assert levels(space) == (0, 0, 1)
    assert not [line for plane in space.planes if plane.name == "/host:CPU" for line in plane.lines]


def test_an_exception_passes_and_the_list_is_filled(folders, traces):
    with pytest.raises(ZeroDivisionError), trace_copies() as found:
        raise ZeroDivisionError
    assert len(found) == 1
    assert not list(folders.iterdir())
    assert_no_profiler_runs()


def test_one_inside_another_is_refused_and_the_outer_one_goes_on(folders, traces):
    with trace_copies() as outer:
        with pytest.raises(RuntimeError, match=r"already.*TensorBoard.*--no-trace") as refused, trace_copies():
            pytest.fail("it must not start")
        assert "\n" not in str(refused.value)
        assert len(list(folders.iterdir())) == 1
    assert len(outer) == len(traces) == 1


def test_the_programs_own_profiler_is_left_alone(folders, tmp_path):
    own = tmp_path / "own"
    tf.profiler.experimental.start(str(own), tf.profiler.experimental.ProfilerOptions(delay_ms=0))
    with pytest.raises(RuntimeError, match="already"), trace_copies():
        pytest.fail("it must not start")
    tf.profiler.experimental.stop()
    assert list(own.rglob("*.xplane.pb"))
    assert list(folders.iterdir()) == [own]


@pytest.mark.parametrize("save", [True, False])
def test_a_program_that_stops_the_profiler_raises(folders, save):
    with pytest.raises(RuntimeError, match=r"has stopped the profiler.*--no-trace") as refused, trace_copies():
        tf.profiler.experimental.stop(save=save)
    assert "\n" not in str(refused.value)
    assert not list(folders.iterdir())


def test_a_profiler_that_is_stopped_and_kept_does_not_run(folders):
    with pytest.raises(RuntimeError, match="has stopped the profiler"), trace_copies():
        kept = profiler_v2._profiler
        tf.profiler.experimental.stop()
    assert kept is not None


@pytest.mark.parametrize("save", [True, False])
def test_a_profiler_that_took_its_place_goes_on(folders, tmp_path, save):
    own = tmp_path / "own"
    with pytest.raises(RuntimeError, match="has stopped the profiler"), trace_copies():
        tf.profiler.experimental.stop(save=save)
        tf.profiler.experimental.start(str(own))
    tf.profiler.experimental.stop()
    assert list(own.rglob("*.xplane.pb"))


def test_an_incomplete_trace_warns_and_is_used(folders, monkeypatch):
    def broken(space):
        space.errors.append("CUPTI needs root access")
        space.warnings.append("2 events dropped")
        return [Copy("GPU:0", 4, 0.0, 0.0)]

    monkeypatch.setattr(trace, "device_to_host", broken)
    with pytest.warns(hostsync.HostSyncWarning) as warned, trace_copies() as found:
        pass
    assert [str(each.message).partition(": ")[2] for each in warned] == ["CUPTI needs root access", "2 events dropped"]
    assert {each.filename for each in warned} == {__file__}
    assert len(found) == 1


@pytest.mark.parametrize("content", [b"", None])
def test_a_trace_that_is_not_written_is_no_trace_without_copies(folders, monkeypatch, content):
    stop = tf.profiler.experimental.stop

    def lose(save=True):
        stop(save)
        for file in folders.rglob("*.xplane.pb"):
            file.unlink() if content is None else file.write_bytes(content)

    monkeypatch.setattr(tf.profiler.experimental, "stop", lose)
    with pytest.raises(RuntimeError, match="no trace"), trace_copies():
        pass
    assert not list(folders.iterdir())


@pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="no GPU here")
def test_a_read_of_a_gpus_value_is_one_copy_of_its_bytes():
    with tf.device("GPU:0"):
        values = [tf.random.uniform([3001]) for _ in range(2)]  # TensorFlow may keep a copy of one that was read
    read_time("GPU:0")  # it reads, too
    before = time.time()
    with trace_copies() as found, hostsync.record() as log:
        for value in values:
            value.numpy()
    copied = [copy for copy in found if copy.nbytes == 4 * 3001]
    assert [copy.device for copy in copied] == ["GPU:0", "GPU:0"]
    assert all(before - 1 < copy.started < time.time() + 1 and 0 < copy.seconds < 1 for copy in copied)
    assert (reconcile(log.reads, found).matched, reconcile(log.reads, found).uncopied) == (2, 0)


LEVELS = {1: "EagerExecute", 2: "EagerKernelExecute", 3: "ExecutorState::ScheduleReady"}
"""Events by the lowest level at which the host's trace has them, in TensorFlow 2.16 to 2.21."""


def levels(space):
    """The profiler's levels of host, Python and devices, from the options that TensorFlow 2.21 writes."""
    stats = [stat for plane in space.planes if plane.name == "Task Environment" for stat in plane.stats]
    written = [stat.bytes_value for stat in stats if stat.bytes_value]
    if written:
        options = profiler_options_pb2.ProfileOptions.FromString(written[0])
        return options.host_tracer_level, options.python_tracer_level, options.device_tracer_level
    names = {event.name for plane in space.planes for event in plane.event_metadata.values()}
    host = max((level for level, name in LEVELS.items() if name in names), default=0)
    return host, int(any(name.startswith("$") for name in names)), 1


@pytest.mark.parametrize("host_level", [0, 2, 3])
def test_traces_the_host_up_to_a_level(tmp_path, host_level):
    step = tf.function(lambda x: x + 1)
    session = trace.start(tmp_path, host_level)
    with tf.profiler.experimental.Trace("here"):
        step(tf.constant(1.0))
    trace.stop(session)
    space = trace.read(tmp_path)
    assert levels(space) == (host_level, 0, 1)
    names = {event.name for plane in space.planes for event in plane.event_metadata.values()}
    assert ("here" in names) == (host_level > 0)
    assert {level for level, name in LEVELS.items() if name in names} == set(range(1, host_level + 1))


def test_a_trace_has_its_start_time(tmp_path):
    before = time.time_ns()
    session = trace.start(tmp_path, 2)
    with tf.profiler.experimental.Trace("here"):
        moment = time.time_ns()
    trace.stop(session)
    space = trace.read(tmp_path)
    assert before <= trace.trace_started(space) <= moment
    ((line, event),) = (
        (line, event)
        for plane in space.planes
        for line in plane.lines
        for event in line.events
        if plane.event_metadata[event.metadata_id].name == "here"
    )
    began = trace.trace_started(space) + line.timestamp_ns + event.offset_ps // 1000
    assert before <= began <= moment + 1_000_000
    assert not space.warnings


@pytest.fixture
def unsaid(tmp_path):
    """Folder of a trace without its start time, as TensorFlow 2.16 writes it."""
    space = xplane_pb2.XSpace()
    space.planes.add(name="/host:CPU")
    (tmp_path / "vm.xplane.pb").write_bytes(space.SerializeToString())
    return tmp_path


def test_the_time_at_which_the_profiler_asked_for_its_options_stands_in(unsaid):
    (unsaid / "asked").write_text(str(STARTED))
    space = trace.read(unsaid)
    assert trace.trace_started(space) == STARTED
    assert not space.warnings


def test_a_trace_without_its_start_time_is_incomplete(unsaid):
    assert list(trace.read(unsaid).warnings) == ["it lacks its start time, from which its times count"]


def test_the_time_is_taken_as_tensorflow_asks(tmp_path, monkeypatch):
    clock = iter([10, 20, 30, 40, 50])

    def start(folder, options):
        operator.index(options.host_tracer_level)
        time.time_ns()  # a driver is loaded

    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    monkeypatch.setattr(tf.profiler.experimental, "start", start)
    trace.start(tmp_path, 0)
    assert (tmp_path / "asked").read_text() == "20"


def test_a_stopped_profiler_raises_even_if_the_session_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(trace, "running_profiler", lambda: None)
    trace.stop(trace.start(tmp_path, 0))
    session = trace.start(tmp_path, 0)
    tf.profiler.experimental.stop()
    with pytest.raises(ProfilerError, match="has stopped the profiler"):
        trace.stop(session)


def test_a_trace_that_could_not_be_read_is_not_begun(tmp_path, monkeypatch):
    def no_space():
        raise ProfilerError("no XSpace")

    monkeypatch.setattr(trace, "empty_trace", no_space)
    with pytest.raises(ProfilerError, match="no XSpace"):
        trace.start(tmp_path, 0)
    assert_no_profiler_runs()


def test_one_at_a_time(tmp_path):
    session = trace.start(tmp_path, 0)
    with pytest.raises(ProfilerError, match="a profiler is running in this program already"):
        trace.start(tmp_path, 0)
    assert session() is profiler_v2._profiler
    trace.stop(session)
    with pytest.raises(ProfilerError, match="has stopped the profiler"):
        trace.stop(session)


def test_a_missing_trace_is_not_an_empty_one(tmp_path):
    with pytest.raises(ProfilerError, match="wrote no trace"):
        trace.read(tmp_path)


def test_planes_of_gpus():
    space = xplane_pb2.XSpace()
    for name in ("/host:CPU", "/device:GPU:0", "/device:GPU:", "/device:TPU:0", "/device:GPU:12", "x/device:GPU:0"):
        space.planes.add(name=name)
    assert [(name, plane.name) for name, plane in trace.gpus(space)] == [
        ("GPU:0", "/device:GPU:0"),
        ("GPU:12", "/device:GPU:12"),
    ]
