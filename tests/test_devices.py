"""The harness does not start TensorFlow's devices before the first factory has run, which may configure them.

The factories of these loops divide the CPU into two devices, and fail if it was started as one.
"""

import ast

import pytest
from test_floors import TREES

from loop_bench.cli.plugin import BENCH
from loop_bench.experiments.convergence.trial import ConvergenceTrial
from loop_bench.experiments.ladder.plan import Rung
from loop_bench.experiments.ladder.trial import RungTrial
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.survival.trial import SurvivalTrial
from loop_bench.experiments.sweep.trial import PointTrial
from loop_bench.experiments.telemetry.trial import TelemetryTrial
from loop_bench.jobs.trial import read
from loop_bench.settings import ARMS, Settings

ONE, TWO = "toys:configuring", "toys:mirrored"
PAIR = ["--before", ONE, "--after", TWO, "--preset", "any"]
LOOP = {"loop": "after", "factory": TWO, "preset": "any", "seed": 0}
SETTINGS = Settings(before=ONE, after=TWO, preset="any", seed=0, batches=1, rounds=2)


def rung(factory):
    return Rung(name=factory, factory=factory, group="step", equivalent_options={})


TRIALS = {
    "survival": SurvivalTrial(**LOOP, fault="nan,batch=2", ready=("nan,batch=2", "scale=10,batch=2"), batches=4),
    "telemetry": TelemetryTrial(**LOOP, batches=2, seconds=0.1),
    "convergence": ConvergenceTrial(**LOOP, epochs=1),
    "ladder": RungTrial(rung=rung(TWO), baseline=rung(ONE), preset="any", seed=0),
    "sweep": PointTrial(settings=SETTINGS, tokens=None),
}


@pytest.mark.parametrize("kind", TRIALS)
def test_in_the_process_of_a_trial(kind, python, tmp_path):
    trial, path = TRIALS[kind], tmp_path / "result.json"
    name = f"{type(trial).__module__}:{type(trial).__qualname__}"
    code = "import sys; from loop_bench.jobs.process import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "work.py").write_text(code)
    done = python("work.py", name, trial.model_dump_json(), path, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = read(path, trial)
    assert (result.ended, result.why) == ("whole", "")
    if kind == "survival":
        assert (result.found.ended, result.found.struck) == ("whole", (2,))
        assert result.found.bad_weights == ("0:generator/weight:0",)
    if kind == "ladder":
        assert result.found.equivalence.bit_for_bit, result.found.equivalence.reason


@pytest.mark.parametrize("command", ["equivalence", "profile"])
def test_in_the_process_of_a_command(command, python, tmp_path):
    batches = ["--batches", "10"] if command == "equivalence" else ["--batches", "2"]
    done = python("-m", "loop_bench", command, *PAIR, *batches, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_in_every_process_of_a_run(python, tmp_path):
    few = ["--rounds", "2", "--batches", "2", "--utilisation", "0.1", "--results", tmp_path]
    done = python("-m", "pytest", BENCH, "--benchmark-only", *PAIR, *few)
    assert done.returncode == 0, done.stdout + done.stderr
    record = Record.read(next(tmp_path.glob("*.json")))
    assert record.problems == ()
    for arm in ARMS:
        assert record.arms[arm].host_syncs.batches == 100
        assert [each.outcome for each in record.arms[arm].survivals][:2] == ["poisoned weights"] * 2
        assert record.arms[arm].telemetry.stretch is not None


STARTS = ("list_logical_devices", "sync_devices", "set_seed", "ones", "zeros", "constant", "Variable")
"""Functions that start devices and might be called in the harness."""


def calls_at_import(tree):
    """Names of the functions that a module calls when it is imported."""
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo += node.decorator_list if not isinstance(node, ast.Lambda) else []
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr
        todo += ast.iter_child_nodes(node)


def test_no_module_starts_them_when_it_is_imported():
    for name, tree in TREES.items():
        assert not {*calls_at_import(tree)} & {*STARTS}, name


def test_tensorflow_is_warmed_up_behind_the_factories_only():
    callers = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "warm_up"
        if not node.args
    }
    assert not callers
