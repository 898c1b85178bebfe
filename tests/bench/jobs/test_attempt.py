import pytest
import tensorflow as tf

from loop_bench.errors import UsageError
from loop_bench.failure import FactoryError, LoopError
from loop_bench.jobs.attempt import REFUSED, Attempt, CrashError, leave


@tf.function
def _failing(value):
    tf.debugging.assert_positive(value, message="the loss is negative")
    return value


def _raise(error, cause=None):
    raise error from cause


def test_work_that_ends_has_a_finding():
    done = Attempt.of(lambda: 3.0)
    assert (done.ended, done.why, done.found) == ("whole", "", 3.0)
    assert done.seconds >= 0


@pytest.mark.parametrize(
    ("fail", "why"),
    [
        (lambda: _raise(ArithmeticError("loss is NaN\nand more")), "ArithmeticError: loss is NaN"),
        (lambda: _raise(SystemExit("enough")), "SystemExit: enough"),
        (lambda: _raise(MemoryError()), "MemoryError"),
        (lambda: _raise(CrashError("the machine is too small")), "the machine is too small"),
        (lambda: _raise(LoopError("loop x: run()", KeyError("y"))), "loop x: run() failed with KeyError: 'y'"),
        (lambda: _failing(tf.constant(-1.0)), "InvalidArgumentError: "),
    ],
)
def test_what_it_dies_of_is_its_result(fail, why):
    died = Attempt.of(fail)
    assert (died.ended, died.found) == ("crashed", None)
    assert died.why.startswith(why)
    assert "Graph execution error" not in died.why
    assert "\n" not in died.why


@pytest.mark.parametrize("error", [UsageError("no such loop"), FactoryError("factory a:b:", KeyError("y"))])
def test_a_question_that_is_wrong_has_no_result(error):
    with pytest.raises(UsageError, match=r"no such loop|factory a:b: failed with KeyError"):
        Attempt.of(lambda: _raise(error))


@pytest.mark.parametrize("cause", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")])
def test_a_loop_that_runs_out_of_memory_is_a_crash_and_no_usage_error(cause):
    died = Attempt.of(lambda: _raise(UsageError("factory 'a:b': failed with MemoryError"), cause))
    assert (died.ended, died.why) == ("crashed", "factory 'a:b': failed with MemoryError")


def test_a_key_that_python_itself_is_asked_for_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        Attempt.of(lambda: _raise(KeyboardInterrupt()))


def test_a_result_is_left_as_it_is(tmp_path, capfd):
    assert leave(tmp_path / "a.json", lambda: "{}") == 0
    assert (tmp_path / "a.json").read_text() == "{}"
    assert capfd.readouterr() == ("", "")


def test_a_result_that_cannot_be_written_is_not_the_loops_fault(tmp_path, capfd):
    (tmp_path / "file").touch()
    assert leave(tmp_path / "file" / "a.json", lambda: "{}") == REFUSED
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.startswith(f"error: folder {tmp_path / 'file'}: cannot be written")
