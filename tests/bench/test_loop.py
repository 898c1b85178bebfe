import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.loop import (
    LoopSpec,
    TrainingLoop,
    VariableReader,
    build,
    describe,
    distance,
    error_line,
    evaluate,
    history,
    load,
    variable_name,
)
from bench.loop import out_of_memory as is_out_of_memory

SPEC = LoopSpec("tiny")


def test_loads_a_factory_by_name():
    assert load("toys:plain") is toys.plain


def test_finds_modules_of_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "loops_of_a_user.py").write_text("class Ours:\n    make = staticmethod(lambda spec: spec)\n")
    monkeypatch.chdir(tmp_path)
    assert load("loops_of_a_user:Ours.make")(3) == 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("toys", "must be module:factory"),
        (":plain", "must be module:factory"),
        ("toys:", "must be module:factory"),
        ("no_such_module:make", "importing no_such_module failed (ModuleNotFoundError: No module named"),
        ("toys:no_such_factory", "toys has no no_such_factory"),
        ("toys:not_callable", "is a int, but must be callable with a LoopSpec"),
    ],
)
def test_bad_name_is_one_line(name, says):
    with pytest.raises(UsageError) as caught:
        load(name)
    assert says in str(caught.value)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_module_that_fails_while_imported(tmp_path, monkeypatch):
    (tmp_path / "broken_loops.py").write_text("raise RuntimeError('no licence\\nsecond line')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"importing broken_loops failed \(RuntimeError: no licence\)"):
        load("broken_loops:make")


def test_builds_what_keeps_the_contract():
    loop = build("toys:plain", toys.plain, SPEC)
    assert isinstance(loop, TrainingLoop)
    assert describe(loop) == {}
    assert variable_name(loop.variables[0]) == "generator/weight:0"


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        (toys.no_history, "NoHistory has no method history()"),
        (toys.no_variables, "variables of its NoVariables is ()"),
        (lambda spec: None, "NoneType has no method run()"),
        (lambda: toys.plain(SPEC), "failed with TypeError: "),
        (lambda spec: 1 / 0, f"failed with ZeroDivisionError: division by zero, at {__file__}:"),
    ],
)
def test_names_what_is_missing_from_the_contract(factory, says):
    with pytest.raises(UsageError) as caught:
        build("toys:it", factory, SPEC)
    assert says in str(caught.value)
    assert "a loop has run(batches)" in str(caught.value) or "failed with" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_variables_must_be_variables():
    class Loop(toys.Quadratic):
        variables = (1.0,)

    with pytest.raises(UsageError, match=r"variables holds 1\.0, which is no variable"):
        build("toys:it", lambda spec: Loop(), SPEC)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([1.0], r"history\(\) of Loop is \[1\.0\]"),
        ({"loss": 1.0}, r"'loss' has shape \(\)"),
        ({"loss": ["high"]}, r"'loss' is \['high'\]"),
    ],
)
def test_history_must_be_numbers_by_name(found, says):
    class Loop(toys.Quadratic):
        def history(self):
            return found

    with pytest.raises(UsageError, match=says):
        history(Loop())


def test_description_is_made_plain():
    class Loop(toys.Quadratic):
        def describe(self):
            return {"rate": np.float32(0.5), "sizes": (1, 2), "path": Path("a")}

    assert describe(Loop()) == {"rate": 0.5, "sizes": [1, 2], "path": "a"}


def test_built_in_pair_keeps_the_contract(monkeypatch):
    for name in ("baseline:make_loop", "seqgan:make_loop"):
        loop = build(name, load(name), LoopSpec("tiny", seed=3, options={"jit_compile": False}))
        assert describe(loop)["config"]["seed"] == 3


def test_a_loop_may_say_how_good_it_is():
    loop = toys.Rated()
    loop.evaluate = lambda: {"score": np.float32(0.5), 3: 1}
    assert evaluate(loop) == {"score": 0.5, "3": 1.0}
    assert evaluate(toys.Rated()) == {"distance ↓": 2.0}


@pytest.mark.parametrize("found", [None, 3.0, {"score": "good"}, {"score": [1, 2]}])
def test_what_a_loop_says_of_itself_must_be_numbers_by_name(found):
    loop = toys.Rated()
    loop.evaluate = lambda: found
    with pytest.raises(UsageError, match=r"evaluate\(\) of Rated is .*, but must be numbers by name"):
        evaluate(loop)
    with pytest.raises(UsageError, match=r"Quadratic has no evaluate\(\)"):
        evaluate(toys.Quadratic())


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


def test_the_contract_does_not_start_tensorflow():
    code = "import sys, bench.loop; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


def test_variables_are_read_as_they_are_now_and_copied():
    plain, of_keras = tf.Variable([1.0, 2.0]), keras.Variable([[3]], dtype="int64")
    read = VariableReader()
    first = read([plain, of_keras])
    plain.assign([5.0, 6.0])
    second = read([plain, of_keras])
    assert [value.tolist() for value in first] == [[1.0, 2.0], [[3]]]
    assert [value.tolist() for value in second] == [[5.0, 6.0], [[3]]]
    second[0][:] = 0.0
    assert plain.numpy().tolist() == [5.0, 6.0]
    assert [value.tolist() for value in read([of_keras])] == [[[3]]]
    assert [value.tolist() for value in read([of_keras, tf.Variable(True)])] == [[[3]], True]


@given(st.lists(st.tuples(*[st.floats(-(2.0**100), 2.0**100, width=32)] * 2), max_size=9))
def test_a_distance_is_euclidean(pairs):
    one, other = np.array(pairs, np.float32).reshape(-1, 2).T
    assert distance(one, other) == pytest.approx(np.linalg.norm(one.astype(float) - other.astype(float)), rel=1e-12)


@pytest.mark.parametrize(("value", "expected"), [(np.inf, np.inf), (np.nan, np.nan)])
def test_a_distance_to_what_is_not_finite_is_not(value, expected):
    np.testing.assert_equal(distance(np.array([value]), np.array([1.0])), expected)
    assert distance(np.array([3, 4]), np.array([0, 0])) == 5.0
