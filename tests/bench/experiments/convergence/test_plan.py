import pytest
from convergences import LOOPS, plan

from loop_bench.experiments.convergence.plan import Question


def test_each_seed_is_complete_before_the_next_one():
    trials = plan(seeds=(3, 4), every=7).trials()
    assert [(trial.loop, trial.seed) for trial in trials] == [(loop, seed) for seed in (3, 4) for loop in LOOPS]
    assert {(trial.epochs, trial.every, trial.time_limit, trial.preset) for trial in trials} == {(4, 7, 3600.0, "tiny")}
    assert [trial.factory for trial in trials[:3]] == ["my.bef:make", "my.aft:make", "my.aft:make"]


def test_a_pair_is_of_loops_of_the_plan():
    with pytest.raises(ValueError, match="that are not in the plan: nobody"):
        plan(pairs=(Question(changed="after", reference="nobody", question="?"),))
