import contextlib
import threading
import warnings

import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.hostsync import guards
from loop_bench.hostsync.guards import Context, allow
from loop_bench.hostsync.recorder import ALLOWED

vector, scalar = tf.constant([1.0, 2.0, 3.0]), tf.constant(2.0)


def here(line_offset=0):
    import inspect

    return f"{__file__}:{inspect.currentframe().f_back.f_lineno + line_offset}"


def test_disallow_raises_before_the_read_and_names_line_and_route():
    with hostsync.record() as log, pytest.raises(hostsync.HostSyncError) as raised, hostsync.guard("disallow"):
        where = here(1)
        loss = float(scalar)
        pytest.fail(f"went on with {loss}")
    assert str(raised.value).startswith(f"{where}: host sync: float of a float32 tensor () on CPU:0: loss = float(")
    assert log.reads == []


@pytest.mark.parametrize(
    ("route", "read"),
    [
        ("numpy", lambda: vector.numpy()),
        ("copy", lambda: vector.cpu()),
        ("dlpack", lambda: tf.experimental.dlpack.to_dlpack(vector)),
        ("asarray", lambda: np.asarray(vector)),
        ("mean", lambda: np.mean(vector)),
        ("memoryview", lambda: memoryview(vector)),
        ("frombuffer", lambda: np.frombuffer(vector, np.float32)),
        ("bool", lambda: bool(scalar)),
    ],
)
def test_disallow_holds_for_every_route(route, read):
    refused = pytest.raises(hostsync.HostSyncError, match=f": host sync: {route} of a ")
    with hostsync.record() as log, refused, hostsync.guard("disallow"):
        read()
    assert log.reads == []
    assert guards._guards == []


def test_an_error_that_was_caught_is_not_raised_again():
    with hostsync.guard("disallow"):
        for read in (lambda: vector.numpy(), lambda: np.asarray(vector)):
            with pytest.raises(hostsync.HostSyncError):
                read()


def test_an_error_that_did_not_surface_is_raised_on_leaving():
    raised = pytest.raises(hostsync.HostSyncError, match="memoryview")
    with raised, hostsync.guard("disallow"), pytest.raises(SystemError):
        memoryview(vector)


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_another_error_on_the_way_out_is_kept_with_a_note(error):
    with pytest.raises(error) as raised, hostsync.guard("disallow"):
        with contextlib.suppress(SystemError):
            memoryview(vector)
        raise error
    assert "memoryview of a float32" in raised.value.__notes__[0]


def test_the_cause_of_a_refused_buffer_is_kept():
    with pytest.raises(hostsync.HostSyncError) as raised, hostsync.guard("disallow"):
        memoryview(vector)
    assert isinstance(raised.value.__cause__, SystemError)


def test_a_guard_counts_what_it_refuses():
    with hostsync.guard("disallow") as guard:
        for read in (float, float, np.asarray):  # the last one tries two ways
            with contextlib.suppress(hostsync.HostSyncError):
                read(scalar)
    assert guard.refused == 3


def test_a_caught_error_does_not_hide_one_that_did_not_surface():
    with pytest.raises(hostsync.HostSyncError, match="memoryview"), hostsync.guard("disallow"):
        with contextlib.suppress(SystemError):
            memoryview(vector)
        with contextlib.suppress(hostsync.HostSyncError):
            float(scalar)


def test_another_threads_guard_that_allows_is_its_own():
    allowed, checked = threading.Event(), threading.Event()
    found = []

    def work():
        with hostsync.guard("allow"):
            found.append(float(scalar))
            allowed.set()
            checked.wait(10)

    with hostsync.guard("disallow"):
        thread = threading.Thread(target=work)
        thread.start()
        allowed.wait(10)
        with pytest.raises(hostsync.HostSyncError):
            float(scalar)
        checked.set()
        thread.join()
    assert found == [2.0]


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_an_error_says_who_reads_for_the_line():
    import keras

    raised = pytest.raises(hostsync.HostSyncError, match=r"read by convert_to_numpy in keras/.*core.py:\d+")
    with raised, hostsync.guard("disallow"):
        keras.ops.convert_to_numpy(vector)


@pytest.mark.parametrize("reads", [-1, "1", None, 1.5, True, float])
def test_a_limit_is_a_number_of_reads(reads):
    with pytest.raises(ValueError, match="must be the number of reads allowed"):
        hostsync.limit(reads)


def test_reads_of_other_threads_surface_on_leaving():
    def work():
        with pytest.raises(hostsync.HostSyncError):
            float(scalar)

    with pytest.raises(hostsync.HostSyncError, match="float of a"), hostsync.guard("disallow"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()


def test_log_warns_once_a_line():
    with pytest.warns(hostsync.HostSyncWarning) as warned, hostsync.guard("log"):
        for _ in range(3):
            first = here(1)
            vector.numpy()
        np.asarray(vector)
    assert f"{warned[0].filename}:{warned[0].lineno}" == first
    assert [str(each.message).split(" of ")[0] for each in warned] == ["host sync: numpy", "host sync: asarray"]


def test_a_warning_may_be_an_error_on_every_route():
    with warnings.catch_warnings():
        warnings.simplefilter("error", hostsync.HostSyncWarning)
        for read in (lambda: vector.numpy(), lambda: memoryview(vector), lambda: np.asarray(vector)):
            with pytest.raises(hostsync.HostSyncWarning), hostsync.guard("log"):
                read()


def test_the_innermost_guard_decides():
    with hostsync.guard("disallow"):
        with hostsync.guard("allow"):
            float(scalar)
        with pytest.raises(hostsync.HostSyncError):
            float(scalar)


def test_allowed_reads_pass_and_are_recorded_with_their_reason():
    with hostsync.record() as log, hostsync.guard("disallow"), hostsync.allow("the epoch is over"):
        float(scalar)
        np.asarray(vector)
    assert [read.allowed for read in log.reads] == ["the epoch is over"] * 2


def test_guards_decorate():
    @hostsync.guard("disallow")
    def step(read, again=False):
        if again:
            step(False)
        return float(scalar) if read else scalar

    assert step(False, again=True) is scalar
    with pytest.raises(hostsync.HostSyncError):
        step(True)
    assert float(scalar) == 2.0
    assert guards._guards == []


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"guard\('forbid'\): must be one of allow, log, disallow"):
        hostsync.guard("forbid")


def test_a_limit_lists_the_lines():
    with pytest.raises(hostsync.HostSyncError) as raised, hostsync.limit(1):
        where = here(2)
        for _ in range(2):
            float(scalar)
        np.asarray(vector)
    first, second, third = str(raised.value).splitlines()
    assert first == "3 host syncs, but at most 1 is allowed"
    assert second == f"  2 × float at {where}: float(scalar)"
    assert third.startswith("  1 × asarray at ")


def test_a_limit_is_kept_by_as_many_and_does_not_count_what_is_allowed():
    with hostsync.limit(1) as log:
        float(scalar)
        with hostsync.allow("a test"):
            float(scalar)
    assert [read.allowed for read in log.reads] == [None, "a test"]


def test_a_limit_does_not_hide_an_exception():
    with pytest.raises(KeyError), hostsync.limit(0):
        float(scalar)
        raise KeyError


def test_a_limit_decorates():
    @hostsync.limit(0)
    def step():
        return float(scalar)

    for _ in range(2):
        with pytest.raises(hostsync.HostSyncError):
            step()


entered = []


@contextlib.contextmanager
def noting(value):
    entered.append(value)
    try:
        yield value
    finally:
        entered.remove(value)


@pytest.fixture
def context():
    entered.clear()
    yield Context(lambda: noting("it"))
    assert entered == []


def test_it_can_be_entered_again_and_inside_itself(context):
    for _ in range(2):
        with context as value, context:
            assert value == "it"
            assert entered == ["it", "it"]


def test_an_exception_passes(context):
    with pytest.raises(KeyError), context:
        raise KeyError


def test_it_decorates_functions_and_methods(context):
    class Loop:
        @context
        def step(self, x, *, y=1):
            """Trains."""
            assert entered
            return self, x, y

    loop = Loop()
    assert loop.step(2, y=3) == (loop, 2, 3)
    assert Loop.step.__doc__ == "Trains."


def test_threads_leave_what_they_have_entered(context):
    inside, leave = threading.Event(), threading.Event()

    def work():
        with context:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    with context:
        thread.start()
        inside.wait(10)
    assert entered == ["it"]
    leave.set()
    thread.join()


def test_functions_that_run_later_are_refused(context):
    async def coroutine():
        pass

    def generator():
        yield

    async def both():
        yield

    for function in (coroutine, generator, both):
        with pytest.raises(TypeError, match=f"{function.__name__} runs after it was called"):
            context(function)


def test_a_reason_holds_inside():
    assert ALLOWED.get() is None
    with allow("outer"):
        with allow("inner"):
            assert ALLOWED.get() == "inner"
        assert ALLOWED.get() == "outer"
    assert ALLOWED.get() is None


def test_it_ends_with_an_exception_too():
    with pytest.raises(KeyError), allow("why"):
        raise KeyError
    assert ALLOWED.get() is None


def test_it_holds_for_its_own_thread():
    found = []
    with allow("mine"):
        thread = threading.Thread(target=lambda: found.append(ALLOWED.get()))
        thread.start()
        thread.join()
    assert found == [None]


def test_it_decorates():
    @allow("why")
    def step():
        return ALLOWED.get()

    assert [step(), step(), ALLOWED.get()] == ["why", "why", None]


@pytest.mark.parametrize("nothing", ["", "  ", 5, None])
def test_it_needs_a_reason(nothing):
    with pytest.raises(ValueError, match="needs a reason"), allow(nothing):
        pass
