from pathlib import Path

import numpy as np
import pytest
import toys

from bench.errors import UsageError
from bench.loop import LoopSpec, TrainingLoop, build, describe, evaluate, history, load, variable_name

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
