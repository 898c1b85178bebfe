import collections
import math

import numpy as np
import pytest

from loop_bench.experiments.survival import Fault, clean_run, outcome, plots
from loop_bench.experiments.survival.clean_run import WITHIN_NOISE, WITHIN_REACH, CleanRun, UsualMetric, moving
from loop_bench.experiments.survival.observation import WATCHED, Observation
from loop_bench.experiments.survival.plan import AttackedLoop, SurvivalPlan
from loop_bench.jobs.trial import Result

BATCHES = 120
FAULTS = ("nan", "nan,target=encoder", "scale=10000,target=encoder", "inf,target=encoder", "nan,batches=2")


def run(**changes):
    steps = {"0:encoder": (1.0,) * BATCHES, "1:decoder": (0.0, 2.0) * (BATCHES // 2), "2:frozen": (0.0,) * BATCHES}
    values = {"ended": "whole", "steps": steps, "metrics": {"loss": tuple(np.linspace(2, 1, BATCHES))}}
    return Observation(**{**values, **changes})


def test_weights_that_a_fault_hits_are_those_of_its_target():
    clean = CleanRun(run())
    everything, one = clean.hit(Fault("nan")), clean.hit(Fault("inf", target="decoder"))
    assert everything.names == ("0:encoder", "1:decoder", "2:frozen")
    assert everything.steps == {"0:encoder": 1.0, "1:decoder": 1.0}
    assert [*everything.rhythm] == [*range(BATCHES)]
    assert (one.names, [*one.rhythm]) == (("1:decoder",), [*range(1, BATCHES, 2)])
    assert not len(moving(run(), ("3:of_nobody",)))


def test_a_metric_is_that_of_the_batches_asked_for():
    clean = CleanRun(run(metrics={"loss": (3.0, 1.0, 2.0, 100.0)}))
    found = clean.metric("loss", 3)
    assert [*found.values] == [3.0, 1.0, 2.0]
    assert (found.level, found.reach) == (2.0, 2.0)
    assert found.near == pytest.approx(max(WITHIN_NOISE * 1.5 / (math.sqrt(2) * 0.6745), WITHIN_REACH * 2.0))
    assert clean.metric("loss", 4).level == pytest.approx(106 / 4)
    assert UsualMetric.of(np.arange(2.0 * WATCHED)).level == WATCHED + (WATCHED - 1) / 2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"ended": "crashed", "why": "of itself"}, "it does not complete without a fault: of itself"),
        ({"bad_weights": ("0:encoder",)}, "0:encoder is not finite without any fault"),
        ({"metrics": {"loss": (1.0, math.inf)}}, "loss is not finite without any fault"),
    ],
)
def test_what_cannot_be_compared_with(changes, problem):
    assert CleanRun(run(**changes)).problem == problem


def test_weights_that_were_not_finite_after_a_batch():
    steps = {"0:encoder": (1.0, math.nan, 1.0), "1:decoder": (1.0,) * 3}
    assert CleanRun(run(steps=steps)).never_finite == {"0:encoder"}


class Asked(dict):
    """Counts how often each result is read."""

    def __init__(self, *args):
        super().__init__(*args)
        self.times = collections.Counter()

    def __getitem__(self, key):
        self.times[key] += 1
        return super().__getitem__(key)


@pytest.fixture
def experiment():
    """A plan of two loops and three seeds, and its results: all runs are as without a fault."""
    loop = AttackedLoop(factory="my:make", faults=FAULTS)
    plan = SurvivalPlan(loops={"before": loop, "after": loop}, preset="tiny", seeds=(0, 1, 2), epochs=1)

    def seen(trial):
        if trial.fault is None:
            return run()
        batches = trial.batches or BATCHES
        steps = {name: each[:batches] for name, each in run().steps.items()}
        return run(steps=steps, metrics={"loss": run().metrics["loss"][:batches]}, struck=(10,))

    results = {
        trial.key: Result[Observation](ended="whole", seconds=1.0, time_limit=9.0, found=seen(trial))
        for trial in plan.trials()
    }
    return plan, Asked(results)


def test_each_result_is_asked_for_once(experiment):
    """So a record of any size needs one pass over files that do not fit into memory."""
    plan, results = experiment
    record = outcome.record(plan, results, {}, shown=FAULTS[:2])
    assert results.times == dict.fromkeys((trial.key for trial in plan.trials()), 1)
    assert record.seconds == len(results)


def test_only_the_metrics_of_the_first_seeds_are_kept(experiment, monkeypatch):
    plan, results = experiment
    monkeypatch.setattr(outcome, "CURVED", 2)
    record = outcome.record(plan, results, {}, shown=FAULTS[:1])
    assert {len(runs) for loop in record.curves.values() for each in loop.values() for runs in each.values()} == {2}
    assert {len(runs) for runs in record.survivals.values()} == {len(FAULTS) * 3}
    assert "medians over the first 2 of 3 seeds" in next(
        each.caption for each in plots.pictures(record) if each.stem == "around-a-fault"
    )


def test_figures_of_a_clean_run_are_computed_once_for_all_faults(experiment, monkeypatch):
    plan, results = experiment
    calls = collections.Counter()

    def counted(owner, name, bound=True):
        original = getattr(owner, name)

        def call(*args):
            calls[name] += 1
            return original(*args)

        monkeypatch.setattr(owner, name, call if bound else staticmethod(call))

    counted(CleanRun, "_hit_by")
    counted(UsualMetric, "of", bound=False)
    counted(clean_run, "moving")
    outcome.record(plan, results, {})
    cleans, targets, lengths = 6, 2, 2  # loops times seeds; of the faults
    assert calls == {"_hit_by": cleans * targets, "moving": cleans * targets, "of": cleans * lengths}
