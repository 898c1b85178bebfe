import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.client.session import BaseSession
from tensorflow.python.eager.polymorphic_function import transform
from tensorflow.python.saved_model import function_deserialization

from loop_bench import hostsync
from loop_bench.hostsync import recorder, trace
from loop_bench.hostsync import tensorflow_private as private
from loop_bench.source import is_ours

vector, scalar = tf.constant([1.0, 2.0, 3.0]), tf.constant(2.0)


def hooks():
    """Everything that recording replaces."""
    tensor = recorder._hub.hooks
    return (
        type(vector).__dict__["_numpy_internal"],
        type(vector).__dict__["_copy_to_device"],
        pywrap_tfe.TFE_ToDlpackCapsule,
        function_deserialization.load_function_def_library,
        BaseSession.__dict__["_call_tf_sessionrun"],
        tensor._slot._slot.value,
        *transform.CONCRETE_FUNCTION_CALLBACKS,
    )


def test_a_read_has_all_its_fields():
    with hostsync.record() as log:
        tf.constant([[1.0, 2.0]], tf.float64).numpy()
    (read,) = log.reads
    assert (read.shape, read.dtype, read.device, read.thread) == ((1, 2), "float64", "CPU:0", "MainThread")
    assert 0 <= read.seconds < log.seconds < 10
    assert read.ready
    assert read.stack == ()
    with pytest.raises(AttributeError):
        read.route = "another"


def test_the_stack_is_there_on_request():
    def outer():
        return inner()

    def inner():
        return float(scalar)

    with hostsync.record(stack=True) as log:
        outer()
    names = [frame.function for frame in log.reads[0].stack]
    start = names.index("inner")
    assert "__float__" in names[:start]
    assert names[start : start + 3] == ["inner", "outer", "test_the_stack_is_there_on_request"]
    assert (log.reads[0].file, log.reads[0].line) == log.reads[0].stack[start][:2]
    assert not [frame for frame in log.reads[0].stack if "hostsync/recorder" in frame.file]


def test_an_inner_recorders_stack_is_its_own():
    with hostsync.record() as outer:
        with hostsync.record(stack=True):
            pass
        float(scalar)
    assert outer.reads[0].stack == ()


def test_an_exception_restores_everything():
    before = hooks()
    with pytest.raises(KeyError), hostsync.record():
        assert not set(map(id, hooks()[:5])) & set(map(id, before[:5]))
        assert hooks()[5] != before[5]
        assert len(hooks()) == len(before) + 1
        raise KeyError
    assert hooks() == before


def test_nested_recorders_see_what_is_inside_them():
    before = hooks()
    with hostsync.record() as outer:
        float(scalar)
        with hostsync.record() as inner:
            np.asarray(vector)
        float(scalar)
    assert [read.route for read in outer.reads] == ["float", "asarray", "float"]
    assert [read.route for read in inner.reads] == ["asarray"]
    assert hooks() == before


def test_recorders_may_end_in_any_order():
    before = hooks()
    first, second = hostsync.record(), hostsync.record()
    log, later = first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)
    float(scalar)
    second.__exit__(None, None, None)
    assert (len(log.reads), len(later.reads)) == (0, 1)
    assert hooks() == before


def test_nothing_is_seen_outside():
    with hostsync.record() as log:
        pass
    vector.numpy()
    np.asarray(vector)
    assert log.reads == []


def test_reads_of_all_threads_are_seen():
    def work():
        for _ in range(50):
            vector.numpy()
            np.asarray(vector)

    threads = [threading.Thread(target=work, name=f"worker {number}") for number in range(4)]
    with hostsync.record() as log:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(log.reads) == 400
    assert {read.thread for read in log.reads} == {f"worker {number}" for number in range(4)}


def test_a_failed_read_is_not_recorded():
    with hostsync.record() as log:
        with pytest.raises(TypeError):
            float(vector)  # read, and then too long
        with pytest.raises(tf.errors.InvalidArgumentError):
            tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[]).numpy()
    assert [read.nbytes for read in log.reads] == [12]


def test_hooks_of_others_are_called_and_restored(monkeypatch):
    theirs, called = type(vector)._numpy_internal, []

    def numpy_internal(tensor):
        called.append(tensor)
        return theirs(tensor)

    monkeypatch.setattr(type(vector), "_numpy_internal", numpy_internal)
    with hostsync.record() as log:
        vector.numpy()
    assert (len(called), len(log.reads)) == (1, 1)
    assert type(vector)._numpy_internal is numpy_internal


def test_an_export_of_what_is_no_tensor_fails_as_ever():
    with hostsync.guard("disallow"), pytest.raises(tf.errors.InvalidArgumentError):
        tf.experimental.dlpack.to_dlpack(np.zeros(3))


def test_a_tensor_without_a_buffer_is_refused_in_another_way():
    half = tf.constant([1.0], tf.bfloat16)
    with pytest.raises(ValueError, match="dtype"):
        memoryview(half)
    with hostsync.record() as log, pytest.raises(SystemError):
        memoryview(half)
    assert log.reads == []


@pytest.fixture
def without(monkeypatch):
    """Removes one private name of TensorFlow at a time, as another version may lack it."""

    def lack(gone):
        recorder.unseen.cache_clear()
        recorder._warned.clear()
        private.generated_lines.cache_clear()

        def get(place):
            if place == gone:
                raise AttributeError(place.name)
            return theirs(place)

        monkeypatch.setattr(private.Place, "get", get)
        monkeypatch.setattr(private.Member, "is_there", property(lambda member: member != gone))

    theirs = private.Place.get
    yield lack
    recorder.unseen.cache_clear()
    recorder._warned.clear()
    private.generated_lines.cache_clear()


PLACES = [(capability, place) for capability, places in private.NEEDED.items() for place in places]


READS = {private.NUMPY: "numpy", private.COPY: "copy", private.DLPACK: "dlpack"}
LOST = {
    **{capability: {"reads"} for capability, place in PLACES if place in READS},
    "runs of TensorFlow 1 sessions": {"sessions"},
    "traces of functions, and the host ops in their graphs": {"traces", "host ops"},
    "host ops in functions that are loaded": {"host ops"},
    private.BEFORE: {"graphs before"},
    "seconds spent on tracing": {"tracing"},
    "lines of functions that AutoGraph has copied": {"traces", "host ops"},
}
"""Parts of `told` that may be missing, by capability."""


def program(folder):
    """A program with every kind of event that a log records."""

    @tf.function
    def step(x, n):
        if x[0] > 0:
            x = tf.py_function(lambda y: y, [x], tf.float32)
        return x * n

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([3])])
        def __call__(self, x):
            return tf.numpy_function(lambda y: y, [x], tf.float32)

    tf.saved_model.save(Model(), str(folder))
    with hostsync.record() as log:
        vector.numpy()
        np.asarray(vector)
        vector.cpu()
        tf.experimental.dlpack.to_dlpack(vector)
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            session.run(tf.constant(1.0))
        for n in range(2):
            step(vector, n)
        tf.saved_model.load(str(folder))
    return log


def told(log):
    """Parts of a log that depend on private names."""
    return {
        "reads": [read.route for read in log.reads],
        "sessions": log.session_runs,
        "host ops": sorted((op.kind, op.name.rpartition("/")[2], op.file) for op in log.host_ops),
        "traces": [(trace.function, trace.file, trace.changes) for trace in log.traces if "step" in trace.function],
        "graphs before": log.graphs_before > 0,
        "tracing": log.seconds_tracing > 0,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Log of the program with a TensorFlow that has all names."""
    return told(program(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize(("capability", "gone"), PLACES, ids=lambda value: getattr(value, "name", None))
def test_a_missing_name_is_reported_and_nothing_else_is_lost(capability, gone, without, whole, tmp_path):
    before = hooks()
    without(gone)
    with pytest.warns(hostsync.HostSyncWarning, match="cannot be seen") as warned:
        log = program(tmp_path)
    assert [str(each.message) for each in warned] == [f"cannot be seen: {each}" for each in log.unseen]
    (unseen,) = log.unseen
    assert unseen == f"{capability}: TensorFlow {tf.__version__} has no {gone}"
    found = told(log)
    assert {part for part in found if found[part] != whole[part]} <= LOST.get(capability, set())
    assert found["reads"] == [route for route in whole["reads"] if route != READS.get(gone)]
    assert hooks() == before
    program(tmp_path)  # which warns no more


def test_everything_can_be_seen_here():
    assert recorder.unseen() == ()
    lost = {capability for capability, reason in hostsync.capabilities().items() if reason}
    assert lost == ({trace.OPS_OF_XLA} if tf.__version__.startswith("2.16.") else set())


def test_the_buffer_slot_is_among_what_can_be_seen(monkeypatch):
    monkeypatch.setattr(recorder._hub.hooks, "lacks_buffers", "gone")
    recorder.unseen.cache_clear()
    (entry,) = recorder.unseen()
    recorder.unseen.cache_clear()
    assert entry == "the buffer protocol (np.asarray(t), np.mean(t), memoryview(t), ...): gone"


@pytest.mark.parametrize("enter", [hostsync.record, lambda: hostsync.guard("disallow")])
def test_the_warning_names_the_programs_line(enter, without):
    without(private.COPY)
    with (
        pytest.warns(hostsync.HostSyncWarning, match="cannot be seen: copies of a tensor to the host") as warned,
        enter(),
    ):
        pass
    assert warned[0].filename == __file__


def test_each_private_name_is_one_of_a_capability():
    named = {each for each in vars(private).values() if isinstance(each, private.Place)} | set(private.SESSION_RUNS)
    assert named <= {place for _, place in PLACES}


def test_starting_to_record_does_not_start_the_devices(run_python):
    run_python(
        "import tensorflow as tf\n"
        "from tensorflow.python.eager import context\n"
        "from loop_bench import hostsync\n"
        "with hostsync.record() as log:\n"
        "    assert not context.context()._initialized\n"
        "    tf.config.set_soft_device_placement(False)\n"
        "    tf.config.threading.set_intra_op_parallelism_threads(1)\n"
        "    float(tf.constant(1.0))\n"
        "assert len(log.reads) == 1\n"
    )


def test_runs_of_sessions_are_counted_and_their_errors_have_no_frame_of_ours():
    with hostsync.record() as log, tf.Graph().as_default(), tf.compat.v1.Session() as session:
        doubled = tf.constant(1.0) * 2
        for _ in range(3):
            session.run(doubled)
        session.make_callable(doubled)()
        with pytest.raises(tf.errors.InvalidArgumentError) as raised:
            session.run(tf.compat.v1.placeholder(tf.float32))
    assert log.session_runs == 5
    assert not log.reads
    assert not [frame for frame in raised.traceback if is_ours(str(frame.path))]


def test_an_error_in_tracing_has_no_frame_of_ours():
    @tf.function
    def step(x):
        return x.nothing

    with hostsync.record(), pytest.raises(AttributeError) as raised:
        step(vector)
    assert not [frame for frame in raised.traceback if is_ours(str(frame.path))]


def test_host_ops_of_a_loaded_model_are_found(tmp_path):
    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([3])])
        def __call__(self, x):
            return tf.numpy_function(lambda y: y, [x], tf.float32)

    tf.saved_model.save(Model(), str(tmp_path))
    with hostsync.record() as log:
        tf.saved_model.load(str(tmp_path))
    assert {(op.kind, op.file) for op in log.host_ops} == {("numpy_function", __file__)}
    assert not log.traces


def test_graphs_that_were_traced_before_are_counted():
    step = tf.function(lambda x: x + 1)  # whose graph goes with it
    step(vector)
    with hostsync.record() as log:
        pass
    assert log.graphs_before > 0
