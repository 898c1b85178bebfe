import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import survival as one_survival

from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.figures import (
    Rate,
    back,
    by_magnitude,
    died,
    magnitude_of,
    outcome,
    outcomes,
    rate,
)
from loop_bench.experiments.survival.record import Outcome, Survival, Undisturbed
from loop_bench.statistics import wilson_interval

OUTCOMES = typing.get_args(Outcome)


def survival(outcome, fault="nan", recovery=None):
    return Survival(
        fault=fault,
        seed=0,
        outcome=outcome,
        reason="",
        weights_finite=None,
        state_finite=None,
        struck=0,
        skipped=0,
        moved_in_skips=(),
        first_bad=None,
        worst=0.0,
        recovery=recovery,
        movement=0.0,
        batches=0,
    )


def rated(*outcomes):
    return Rate.of(survival(outcome) for outcome in outcomes)


def test_counts_the_most_frequent_first():
    found = rated("skipped", "crashed", "poisoned weights", "crashed", "survived", "crashed", "poisoned weights")
    assert list(found.outcomes.items()) == [
        ("crashed", 3),
        ("poisoned weights", 2),
        ("skipped", 1),
        ("survived", 1),
    ]
    assert (found.runs, found.alive, found.untested) == (7, 2, 0)


def test_each_outcome_is_alive_or_not_or_no_run():
    found = {outcome: (rated(outcome).alive, rated(outcome).runs, rated(outcome).untested) for outcome in OUTCOMES}
    dead = ("frozen", "diverged", "replicas differ", "poisoned state", "poisoned weights", "crashed", "timed out")
    assert found == {
        "skipped": (1, 1, 0),
        "survived": (1, 1, 0),
        **dict.fromkeys(dead, (0, 1, 0)),
        "not tested": (0, 0, 1),
    }


def test_what_was_not_tested_is_left_out():
    found = rated("not tested", "survived", "not tested", "frozen")
    assert found.outcomes == {"survived": 1, "frozen": 1}
    assert (found.runs, found.untested) == (2, 2)
    assert found.share == wilson_interval(1, 2)


def test_of_nothing_there_is_no_share():
    assert rated().share is None
    found = rated("not tested", "not tested")
    assert (found.outcomes, found.runs, found.alive, found.untested, found.share) == ({}, 0, 0, 2, None)


def test_the_reason_of_the_first_that_tells_nothing():
    runs = [one_survival(outcome, reason=f"of {number}") for number, outcome in enumerate(("skipped", "not tested"))]
    assert Rate.of(runs).why_untested == "of 1"
    assert Rate.of([*runs, one_survival("not tested", reason="of 2")]).why_untested == "of 1"
    assert Rate.of(runs[:1]).why_untested == ""


@settings(deadline=None)
@given(st.lists(st.sampled_from(OUTCOMES)))
def test_the_share_is_of_those_alive_with_its_interval(outcomes):
    found = rated(*outcomes)
    alive = sum(outcome in ("skipped", "survived") for outcome in outcomes)
    runs = sum(outcome != "not tested" for outcome in outcomes)
    assert (found.alive, found.runs, found.untested) == (alive, runs, len(outcomes) - runs)
    if runs:
        assert found.share == wilson_interval(alive, runs)
        assert found.share.low <= alive / runs <= found.share.high
        assert found.share.estimate == alive / runs
    else:
        assert found.share is None


def test_those_alive_are_back_or_not():
    survivals = [
        survival("survived", recovery=12),
        survival("crashed", recovery=5),
        survival("skipped", recovery=0),
        survival("not tested", recovery=7),
        survival("survived", recovery=None),
    ]
    assert Rate.of(iter(survivals)).recoveries == (12, 0, None)
    assert Rate.of(()).recoveries == ()


@pytest.mark.parametrize(
    ("fault", "magnitude"),
    [
        ("nan", ("all", "NaN")),
        ("inf,target=discriminator", ("discriminator", "infinite")),
        ("scale=1e4,target=generator", ("generator", "\N{MULTIPLICATION SIGN} 10000")),
        ("scale=1e38", ("all", "\N{MULTIPLICATION SIGN} 1e+38")),
        ("nan,in=weights", None),
        ("scale=1000,in=learning_rate", None),
        ("nan,in=module:f(x)", None),
        ("nan,extent=element", None),
        ("nan,extent=variable", None),
        ("nan,batch=11", None),
        ("nan,batches=3", None),
        ("nan,probability=0.5", None),
        ("scale=10,growth=10", None),
    ],
)
def test_a_magnitude_is_of_one_whole_batch_of_gradients_at_the_usual_time(fault, magnitude):
    assert magnitude_of(Fault.parse(fault)) == magnitude


def test_runs_are_counted_by_network_and_size():
    found = by_magnitude(
        [
            survival("crashed", "nan,target=generator"),
            survival("crashed", "nan,target=discriminator"),
            survival("frozen", "nan,target=generator,batch=30"),
            survival("skipped", "nan,target=generator", recovery=3),
            survival("survived", "scale=10,target=generator"),
            survival("frozen", "nan,in=weights,target=generator"),
        ]
    )
    assert list(found) == [
        ("generator", "NaN"),
        ("discriminator", "NaN"),
        ("generator", "\N{MULTIPLICATION SIGN} 10"),
    ]
    assert found["generator", "NaN"] == Rate({"crashed": 1, "skipped": 1}, 0, (3,))
    assert found["discriminator", "NaN"] == Rate({"crashed": 1}, 0)


def undisturbed(ended, first_bad=None):
    return Undisturbed(seed=0, ended=ended, why="", batches=100, first_bad=first_bad)


def test_long_runs_count_if_they_ended_by_themselves():
    runs = [undisturbed("whole"), undisturbed("whole", 7), undisturbed("crashed"), undisturbed("whole")]
    assert died(runs) == (2, 4, wilson_interval(2, 4))
    assert died([*runs, undisturbed("timed out"), undisturbed("not tested")]) == died(runs)
    assert died(each for each in runs) == died(runs)
    assert died([undisturbed("timed out"), undisturbed("not tested", 3)]) == (0, 0, None)
    assert died([]) == (0, 0, None)


def test_outcomes():
    one, many = [one_survival("frozen")], [one_survival("skipped"), one_survival("crashed"), one_survival("skipped")]
    untested = one_survival("not tested")
    assert outcome(one) == "frozen: because"
    assert outcome(many) == "2 of 3 alive (21% to 94%): 2 skipped, 1 crashed; back after 0 batches"
    assert outcome([*many, untested]).endswith(
        "2 skipped, 1 crashed, 1 not tested; back after 0 batches; not tested: because"
    )
    assert outcome(one * 2) == "0 of 2 alive (0% to 66%): 2 frozen"  # and what is not is not back
    assert outcome([untested]) == "not tested: because"
    assert outcome([untested] * 2) == "2 not tested: because"
    assert outcome([]) == "not measured"
    assert outcomes(one) == "frozen"
    assert outcomes([untested]) == "not tested"
    assert outcomes([*many, untested]) == "2 skipped, 1 crashed, 1 not tested"


@pytest.mark.parametrize(
    ("recoveries", "says"),
    [
        ([0], "back after 0 batches"),
        ([12, 0, 3], "back after 0 to 12 batches"),
        ([4, 4, None], "back after 4 batches, 1 not back"),
        ([12, None, 0, None, None], "back after 0 to 12 batches, 3 not back"),
        ([None, None], "2 not back"),
    ],
)
def test_how_long_until_they_were_back(recoveries, says):
    assert back(recoveries) == says
    found = rate(Rate.of(one_survival("survived", recovery=each) for each in recoveries))
    assert found.endswith(f" survived; {says}")
