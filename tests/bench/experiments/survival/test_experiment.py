import subprocess

import pytest
from records import ENVIRONMENT, survival
from survivals import survival_record, undisturbed
from trials import Door, died

from loop_bench.experiments.survival import experiment
from loop_bench.experiments.survival.experiment import SurvivalExperiment, survive
from loop_bench.experiments.survival.observation import Observation
from loop_bench.experiments.survival.plan import AttackedLoop, SurvivalPlan
from loop_bench.experiments.survival.trial import SurvivalTrial
from loop_bench.jobs.gather import inline

PLAN = SurvivalPlan(loops={"before": AttackedLoop(factory="toys:plain", faults=("nan",))}, preset="tiny", seeds=(3, 5))


def test_trials_are_run_and_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "environment", lambda: ENVIRONMENT)
    door, told = Door(lambda trial: Observation(ended="not tested", why="of something")), []
    record = survive(PLAN, tmp_path, 3, ("nan",), told.append, door)
    assert door.asked == PLAN.trials()
    assert told == door.titles
    assert door.workers == 3
    assert (record.plan, record.environment, record.seconds) == (PLAN, ENVIRONMENT, 4.0)
    assert [each.outcome for each in record.survivals["before"]] == ["not tested"] * 2
    assert len([*(tmp_path / "trials").glob("*.json")]) == 5  # the conditions among them


@pytest.mark.parametrize("ended", ["crashed", "timed out"])
def test_a_process_that_died_is_an_outcome(tmp_path, ended):
    def answer(trial):
        clean = Observation(ended="whole", steps={"0:weight": (1.0,) * trial.batches})
        return died(trial, ended) if trial.fault else clean

    record = survive(PLAN, tmp_path, 1, run=Door(answer))
    assert {(each.outcome, each.reason) for each in record.survivals["before"]} == {(ended, "of something")}


def test_a_loop_that_was_never_tested_is_a_flaw_unless_a_long_run_tells_something():
    def flaw(of_after, long):
        survivals = {"before": (survival("crashed"),), "after": of_after}
        record = survival_record(survivals=survivals, undisturbed={"after": (undisturbed(0, ended=long),)})
        return SurvivalExperiment().flaw(record)

    untested = (survival("not tested", reason="no tape"),) * 2
    assert flaw(untested, "timed out") == (
        "none of the 3 runs of after succeeded, 2 of them for this cause: not tested: no tape"
    )
    assert flaw(untested, "whole") == ""
    assert flaw((*untested, survival("crashed")), "timed out") == ""


def test_without_a_process_it_comes_out_the_same(tmp_path):
    plan = PLAN.model_copy(update={"seeds": (3,)})
    (found,) = survive(plan, tmp_path, 1, run=inline).survivals["before"]
    assert (found.outcome, found.first_bad) == ("poisoned weights", 10)


def test_processes_begin_with_what_takes_long_to_import_and_with_no_device(python):
    code = (
        "import importlib, sys\n"
        "for module in sys.argv[1:]: importlib.import_module(module)\n"
        "from tensorflow.python.eager import context\n"
        "imported = [name in sys.modules for name in ('keras', 'loop_bench.experiments.survival.watching')]\n"
        "print(*imported, context.context()._initialized)"
    )
    found = python("-c", code, *SurvivalTrial.preload())
    assert (found.stdout, found.returncode) == ("True True False\n", 0)


FRAGILE = """
import os, signal, time
import numpy as np
import toys


class Fragile(toys.Quadratic):
    # Hangs on infinity, and is killed when all its weights are not numbers.

    def run(self, batches):
        if np.isinf(self.weight.numpy()).any():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        super().run(batches)
        if np.isnan(self.weight.numpy()).all():
            os.kill(os.getpid(), signal.SIGKILL)


def make(spec):
    return Fragile(spec.seed)
"""


@pytest.mark.slow
def test_loops_live_and_die_in_processes_of_their_own(tmp_path, monkeypatch):
    (tmp_path / "fragile.py").write_text(FRAGILE)
    monkeypatch.setattr(experiment, "environment", lambda: ENVIRONMENT)
    monkeypatch.syspath_prepend(tmp_path)  # what can be imported here can be in the processes
    plan = SurvivalPlan(
        loops={
            "before": AttackedLoop(factory="fragile:make", faults=("inf,in=weights", "nan", "nan,extent=element")),
            "after": AttackedLoop(factory="toys:guarded", faults=("nan",)),
        },
        preset="tiny",
        seeds=(1,),
        time_limit=30.0,
    )
    told = []
    record = survive(plan, tmp_path, 2, ("nan",), told.append)
    assert {
        loop: {each.fault: (each.outcome, each.reason.partition(";")[0]) for each in found}
        for loop, found in record.survivals.items()
    } == {
        "before": {
            "inf,in=weights": ("timed out", "took longer than 30 s and was ended"),
            "nan": ("crashed", "killed by SIGKILL, as the system does when memory runs out"),
            "nan,extent=element": ("poisoned weights", "1 weight not finite from batch 10 on"),
        },
        "after": {"nan": ("skipped", "1 update, bit for bit as before")},
    }
    assert sorted(told) == sorted(trial.title for trial in plan.trials())
    assert [len(each) for each in record.curves["after"]["nan"]["loss"]] == [plan.faulty("after", 1, "nan").batches]
    assert record.seconds > 30

    there = {path: path.read_bytes() for path in (tmp_path / "trials").glob("*.json")}
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: pytest.fail("a process was started"))
    again = survive(plan, tmp_path, 2, ("nan",))
    ignored = {"created"}
    assert again.model_dump_json(exclude=ignored) == record.model_dump_json(exclude=ignored)
    assert {path: path.read_bytes() for path in (tmp_path / "trials").glob("*.json")} == there


COMPILED = """
import tensorflow as tf
import toys


def make(spec):
    loop = toys.Quadratic(spec.seed)
    loop.step = tf.function(loop._step, jit_compile=True)
    return loop
"""


@pytest.mark.slow
def test_what_xla_compiles_is_the_same_in_all_runs_of_a_loop_and_is_compiled_once(tmp_path, monkeypatch):
    (tmp_path / "compiled.py").write_text(COMPILED)
    monkeypatch.syspath_prepend(tmp_path)
    faults = ("nan,target=weight", "scale=10,target=weight,batches=3", "inf,target=other", "nan,extent=element")
    plan = SurvivalPlan(
        loops={"before": AttackedLoop(factory="compiled:make", faults=faults)}, preset="tiny", seeds=(1, 2)
    )
    record = survive(plan, tmp_path, 2)
    assert {each.fault: each.outcome for each in record.survivals["before"]} == {
        "nan,target=weight": "poisoned weights",
        "scale=10,target=weight,batches=3": "survived",
        "inf,target=other": "not tested",
        "nan,extent=element": "poisoned weights",
    }
    assert len([*(tmp_path / "trials" / "xla").glob("*.pb")]) == 1
