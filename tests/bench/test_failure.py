from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.failure import FactoryError, LoopError, blaming, error_line, exit_code, located
from loop_bench.failure import out_of_memory as is_out_of_memory

HERE = "tests/bench/test_failure.py"


def failed(fail, kind=LoopError):
    """The message of a loop that fails so."""
    with pytest.raises(kind) as caught, blaming("loop 'a:b' (after): run()", kind):
        fail()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def at_root(monkeypatch, pytestconfig):
    """Places are said from this project's folder."""
    monkeypatch.chdir(pytestconfig.rootpath)


def line_of(text):
    """The number of the first line of this file that is so."""
    written = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(written, start=1) if line.strip() == text)


def divide():
    return 1 / 0


def test_a_loop_that_fails_is_named_with_its_call_and_line(at_root):
    error = failed(divide)
    at = line_of("return 1 / 0")
    assert str(error) == f"loop 'a:b' (after): run() failed with ZeroDivisionError: division by zero, at {HERE}:{at}"
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert error_line(error) == "ZeroDivisionError: division by zero"  # where the loop is known anyway


@tf.function
def following(iterator):
    return iterator.get_next()


def in_a_graph():
    iterator = iter(tf.data.Dataset.range(1))
    for _ in range(2):
        following(iterator)


def in_a_for():
    iterator = iter(tf.data.Dataset.range(0))
    return next(iterator)


def test_data_that_have_ended_are_named_with_the_op_and_what_to_do(at_root):
    calls, made = line_of("following(iterator)"), line_of("return iterator.get_next()")
    says = f"run() failed with OutOfRangeError: End of sequence, at {HERE}:{calls} (op made at {HERE}:{made}); "
    assert f"{says}the data of a loop must not end: repeat them (tf.data: repeat())" in str(failed(in_a_graph))
    assert str(failed(in_a_for)).endswith("repeat them (tf.data: repeat())")


def test_another_end_of_something_is_not_taken_for_data():
    error = tf.errors.OutOfRangeError(None, None, "Read less bytes than requested")
    assert located(error) == "OutOfRangeError: Read less bytes than requested"


def test_devices_that_are_configured_twice_are_named_with_what_to_do():
    error = RuntimeError("Virtual devices cannot be modified after being initialized")
    assert "; loops that share a process must configure the same devices" in located(error)
    assert "; " not in located(RuntimeError("no device"))


def leave():
    raise SystemExit("enough")


def test_a_loop_that_leaves_the_program_has_failed():
    assert "run() failed with SystemExit: enough, at " in str(failed(leave))


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), UsageError("no preset"), LoopError("another", OSError())],
    ids=lambda e: type(e).__name__,
)
def test_interrupts_and_usage_errors_pass(error):
    with pytest.raises(type(error)) as caught, blaming("loop"):
        raise error
    assert caught.value is error


def test_a_factory_that_fails_is_wrong_use(at_root):
    error = failed(divide, FactoryError)
    assert isinstance(error, UsageError)
    assert exit_code(error) == 2
    assert error_line(error) == str(error)


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError(""), 2), (InvalidRecordError(""), 4), (LoopError("loop", OSError()), 1)],
    ids=lambda each: type(each).__name__,
)
def test_the_exit_code_says_whose_mistake_it_is(error, code):
    assert exit_code(error) == code


@tf.function
def checked(x):
    return tf.debugging.check_numerics(x, "loss is bad")


@tf.function
def asserting(x):
    tf.debugging.assert_equal(x, 3.0, message="must be three")
    return x


@tf.function
def gathered(at):
    return tf.gather([1.0, 2.0], at)


@tf.function
def refusing(x):
    raise ValueError("no such preset\nsecond line")


@tf.function
def calling(x):
    return refusing(x)


@tf.function
def misshapen(x):
    return tf.matmul(x, tf.ones([3, 3]))


class Layer(keras.layers.Layer):
    def call(self, x):
        return tf.debugging.check_numerics(x, "loss is bad")


def silent():
    raise AssertionError


def out_of_memory():
    return tf.fill([2**20, 2**20, 2**6], 1.0)


NAN = tf.constant([np.nan])


@pytest.mark.parametrize(
    ("fail", "says"),
    [
        (lambda: checked(NAN), "InvalidArgumentError: loss is bad : Tensor had NaN values"),
        (lambda: tf.function(Layer())(NAN), "InvalidArgumentError: loss is bad : Tensor had NaN values"),
        (lambda: asserting(tf.constant(2.0)), "InvalidArgumentError: assertion failed: [must be three]"),
        (lambda: gathered(tf.constant(5)), "InvalidArgumentError: indices = 5 is not in [0, 2)"),
        (lambda: misshapen(tf.ones([2, 2])), "ValueError: Dimensions must be equal, but are 2 and 3"),
        (lambda: refusing(1), "ValueError: no such preset"),
        (lambda: calling(1), "ValueError: no such preset"),
        (lambda: {}["loss"], "KeyError: 'loss'"),
        (silent, "AssertionError: silent"),
    ],
)
def test_an_error_is_one_line_of_what_happened(fail, says):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        fail()
    line = error_line(caught.value)
    assert line.startswith(says)
    assert "\n" not in line
    assert "execution error" not in line


@pytest.mark.parametrize(
    ("fail", "name", "says"),
    [
        (lambda: Layer()(NAN), "InvalidArgumentError", "loss is bad : Tensor had NaN values"),
        (out_of_memory, "ResourceExhaustedError", "OOM when allocating tensor with shape[1048576,1048576,64]"),
    ],
)
def test_what_an_op_says_is_kept_with_what_it_is_of(fail, name, says):
    with pytest.raises(tf.errors.OpError) as caught:
        fail()
    line = error_line(caught.value)
    assert line.startswith(f"{name}: {{{{function_node ")
    assert says in line
    assert "\x1b" not in line


OOM = "OOM when allocating tensor with shape[512,32000] and type float on GPU:0 by allocator GPU_0_bfc"
PLACE = 'Detected at node gradient/MatMul defined at (most recent call last):\n  File "/a.py", line 3, in step\n\n'


@pytest.mark.parametrize(
    "message",
    [
        f"Graph execution error:\n\n{PLACE}{OOM}\n\t [[{{{{node gradient/MatMul}}}}]]\nHint: to see a list [Op:__f_7]",
        f"Graph execution error:\n\n{PLACE}{PLACE}2 root error(s) found.\n  (0) RESOURCE_EXHAUSTED:  {OOM}\n"
        f"\t [[{{{{node gradient/MatMul}}}}]]\n\n  (1) RESOURCE_EXHAUSTED:  {OOM}\n0 successful operations.",
        f"Exception encountered when calling LSTM.call().\n\n\x1b[1m{OOM}\x1b[0m\n\nArguments received by LSTM.call():",
        OOM,
    ],
)
def test_memory_that_ran_out_in_a_graph_is_named(message):
    assert error_line(tf.errors.ResourceExhaustedError(None, None, message)) == f"ResourceExhaustedError: {OOM}"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UsageError("factory 'a:b': must be module:factory"), "factory 'a:b': must be module:factory"),
        (RuntimeError("\n\n  no licence\nsecond line"), "RuntimeError: no licence"),
        (RuntimeError("Graph execution error:"), "RuntimeError: Graph execution error:"),
        (OSError("File weights.npz is missing\nsee the manual"), "OSError: File weights.npz is missing"),
        (RuntimeError("x" * 500), f"RuntimeError: {'x' * 400}"),
        (RuntimeError("\n"), "RuntimeError"),
        (StopIteration(), "StopIteration"),  # never raised: of no function
        (UsageError(), "UsageError"),
    ],
)
def test_messages_of_all_sorts_are_one_line(error, line):
    assert error_line(error) == line


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), True),
        (ValueError("out of memory"), False),
        (None, False),
    ],
)
def test_what_has_no_memory_left(error, expected):
    assert is_out_of_memory(error) == expected
