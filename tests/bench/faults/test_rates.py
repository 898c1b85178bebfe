import typing

from hypothesis import given
from hypothesis import strategies as st

from bench.faults.rates import Rate
from bench.record import Outcome, Survival
from bench.statistics import wilson_interval

OUTCOMES = typing.get_args(Outcome)


def survival(outcome):
    return Survival(
        fault="nan",
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
        recovery=None,
        movement=0.0,
        batches=0,
    )


def rate(*outcomes):
    return Rate.of(survival(outcome) for outcome in outcomes)


def test_counts_the_most_frequent_first():
    found = rate("skipped", "crashed", "poisoned weights", "crashed", "survived", "crashed", "poisoned weights")
    assert list(found.outcomes.items()) == [
        ("crashed", 3),
        ("poisoned weights", 2),
        ("skipped", 1),
        ("survived", 1),
    ]
    assert (found.runs, found.alive, found.untested) == (7, 2, 0)


def test_each_outcome_is_alive_or_not_or_no_run():
    found = {outcome: (rate(outcome).alive, rate(outcome).runs, rate(outcome).untested) for outcome in OUTCOMES}
    dead = ("frozen", "diverged", "poisoned state", "poisoned weights", "crashed", "timed out")
    assert found == {
        "skipped": (1, 1, 0),
        "survived": (1, 1, 0),
        **dict.fromkeys(dead, (0, 1, 0)),
        "not tested": (0, 0, 1),
    }


def test_what_was_not_tested_is_left_out():
    found = rate("not tested", "survived", "not tested", "frozen")
    assert found.outcomes == {"survived": 1, "frozen": 1}
    assert (found.runs, found.untested) == (2, 2)
    assert found.share == wilson_interval(1, 2)


def test_of_nothing_there_is_no_share():
    assert rate().share is None
    found = rate("not tested", "not tested")
    assert (found.outcomes, found.runs, found.alive, found.untested, found.share) == ({}, 0, 0, 2, None)


@given(st.lists(st.sampled_from(OUTCOMES)))
def test_the_share_is_of_those_alive_with_its_interval(outcomes):
    found = rate(*outcomes)
    alive = sum(outcome in ("skipped", "survived") for outcome in outcomes)
    runs = sum(outcome != "not tested" for outcome in outcomes)
    assert (found.alive, found.runs, found.untested) == (alive, runs, len(outcomes) - runs)
    if runs:
        assert found.share == wilson_interval(alive, runs)
        assert found.share.low <= alive / runs <= found.share.high
        assert found.share.estimate == alive / runs
    else:
        assert found.share is None
