import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toys

from loop_bench.errors import UsageError
from loop_bench.failure import FactoryError, LoopError
from loop_bench.loop import (
    LoopSpec,
    TrainingLoop,
    as_made,
    build,
    describe,
    evaluate,
    history,
    lines,
    load,
    name_of,
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
    says = r"importing broken_loops failed \(RuntimeError: no licence, at broken_loops\.py:1\)"
    with pytest.raises(UsageError, match=says):
        load("broken_loops:make")


def test_builds_what_keeps_the_contract():
    loop = build("toys:plain", toys.plain, SPEC)
    assert isinstance(loop, TrainingLoop)
    assert describe(loop) == {}


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        (toys.no_history, "NoHistory has no method history()"),
        (toys.no_variables, "variables of its NoVariables is ()"),
        (lambda spec: None, "NoneType has no method run()"),
        (lambda: toys.plain(SPEC), "failed with TypeError: "),
        (lambda spec: 1 / 0, "failed with ZeroDivisionError: division by zero, at "),
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
    for name in ("loop_bench.baseline:make_loop", "loop_bench.seqgan:make_loop"):
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


def test_the_contract_does_not_start_tensorflow():
    code = "import sys, loop_bench.loop; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Breaking(toys.Quadratic):
    """Fails in each of its calls once `breaks` is set."""

    breaks = False

    def _fail(self):
        if self.breaks:
            raise OSError("broken")

    def run(self, batches):
        self._fail()

    def history(self):
        self._fail()
        return {"loss": [1.0]}

    @property
    def variables(self):
        self._fail()
        return super().variables

    def describe(self):
        self._fail()
        return {}

    def evaluate(self):
        self._fail()
        return {}

    def lines(self):
        self._fail()
        return [[1]]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda loop: loop.run(1), "run()"),
        (lambda loop: loop.history(), "history()"),
        (history, "history()"),
        (lambda loop: loop.variables, "variables"),
        (describe, "describe()"),
        (evaluate, "evaluate()"),
        (lines, "lines()"),
    ],
)
def test_whatever_call_of_a_loop_fails_says_which_and_of_which_loop(call, named):
    loop = build("toys:it", lambda spec: Breaking(), SPEC, "after")
    call(loop)
    loop.own.breaks = True
    with pytest.raises(LoopError) as caught:
        call(loop)
    assert str(caught.value).startswith(f"loop 'toys:it' (after): {named} failed with OSError: broken, at ")


def test_a_factory_that_fails_is_named_with_the_role_of_its_loop():
    with pytest.raises(FactoryError, match=r"^factory 'toys:it' \(before\): failed with ZeroDivisionError: "):
        build("toys:it", lambda spec: 1 / 0, SPEC, "before")
    loop = Breaking()
    loop.breaks = True
    with pytest.raises(FactoryError, match=r"^factory 'toys:it': variables of its Breaking failed with OSError: "):
        build("toys:it", lambda spec: loop, SPEC)


def test_values_that_cannot_be_had_are_the_loops_fault():
    class Value:
        def __array__(self, *how, **more):
            raise RuntimeError("no longer there")

    loop = build("toys:it", toys.plain, SPEC)
    loop.own.history = lambda: {"loss": Value()}
    with pytest.raises(LoopError, match=r"history\(\) failed with RuntimeError: no longer there"):
        history(loop)


def test_what_else_a_loop_has_is_there_under_its_name_too():
    loop = build("toys:rated", toys.rated, SPEC)
    assert loop.says == "distance ↓"
    assert not hasattr(loop, "lines")
    assert as_made(loop) is loop.own
    assert as_made(loop.own) is loop.own
    assert [name_of(loop), name_of(loop.own)] == ["loop 'toys:rated'", "Rated"]


@pytest.mark.parametrize("found", [None, [1], {(1, 2): 3}])
def test_a_description_must_be_values_by_name(found):
    loop = build("toys:it", toys.plain, SPEC)
    loop.own.describe = lambda: found
    with pytest.raises(UsageError, match=r"^describe\(\) of loop 'toys:it' is .*, but must be plain values by name$"):
        describe(loop)
