from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys

from bench.errors import UsageError
from bench.loop import (
    LoopSpec,
    TrainingLoop,
    build,
    describe,
    error_line,
    evaluate,
    history,
    load,
    out_of_memory,
    variable_name,
)

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


def raised(code):
    try:
        code()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@tf.function
def failing(value):
    tf.debugging.assert_positive(value, message="the loss is negative")
    return value


def silent():
    raise KeyError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no good"), "ValueError: no good"),
        (ValueError("no good\nand much more"), "ValueError: no good"),
        (ValueError("\n\n  no good\n"), "ValueError: no good"),
        (ValueError(), "ValueError: no message"),
        (raised(silent), "KeyError: raised in silent"),
        (ArithmeticError("Graph execution error:\n\nDetected at node x\nloss is NaN"), "ArithmeticError: loss is NaN"),
        (ArithmeticError("Graph execution error:"), "ArithmeticError: Graph execution error:"),
        (UsageError("factory 'a:b': must be\nsomething else"), "factory 'a:b': must be"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 400}"),
    ],
)
def test_an_error_is_one_line(error, line):
    assert error_line(error) == line


def test_an_error_of_a_graph_keeps_its_cause():
    line = error_line(raised(lambda: failing(tf.constant(-1.0))))
    assert line.startswith("InvalidArgumentError: assertion failed: [the loss is negative")
    assert "\n" not in line


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
    assert out_of_memory(error) == expected
