import pytest

from loop_bench.experiments.survival.plan import ONE_REPLICA, Faults, survival_plan
from loop_bench.settings import Settings

SETTINGS = Settings(before="m:a", after="m:b", preset="any", seed=3, batches=1)


def faults_of(seeds=None, **options):
    plan = survival_plan(SETTINGS.model_copy(update={"options": options}), Faults(), seeds)
    return {loop.faults for loop in plan.loops.values()}


@pytest.mark.parametrize("seeds", [None, 2])
def test_loops_of_several_replicas_are_put_through_what_one_of_them_does(seeds):
    (alone,) = faults_of(seeds)
    assert not {*ONE_REPLICA} & {*alone}
    for options in ({"replicas": 1}, {"replicas": "many"}):
        assert faults_of(seeds, **options) == {alone}
    assert faults_of(seeds, replicas=2) == {(*alone, *ONE_REPLICA)}


def test_graphs_are_made_ready_for_a_fault_of_one_replica():
    plan = survival_plan(SETTINGS.model_copy(update={"options": {"replicas": 2}}), Faults())
    assert plan.clean("after", 3).ready == ("nan", "nan,replica=0")
