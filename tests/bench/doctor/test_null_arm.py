import dataclasses

import numpy as np
import pytest

from loop_bench.doctor import null_arm
from loop_bench.doctor.finding import State
from loop_bench.doctor.null_arm import NullArm

QUIET = NullArm(10.0, 200, 60, 0.3, 1.0, 0.99, 0.99 * 1.02, False)


def test_the_least_difference_falls_with_the_root_of_the_rounds():
    # Three loops in a run, two here: 15 seconds there have as many rounds as 10 here.
    assert QUIET.least_difference(15.0) == pytest.approx(0.02)
    assert QUIET.least_difference(60.0) == pytest.approx(0.01)


def test_what_the_instances_differ_by_does_not_fall():
    biased = dataclasses.replace(QUIET, estimate=1.05, low=1.04, high=1.04 * 1.02)
    assert biased.least_difference(15.0) == pytest.approx(0.07)
    assert biased.least_difference(15.0e6) == pytest.approx(0.05, abs=1e-4)


def judged(width, **changed):
    found = dataclasses.replace(QUIET, low=1 / (1 + width / 2), high=(1 + width) / (1 + width / 2), **changed)
    return null_arm.finding(found, steal=0.0)


@pytest.mark.parametrize(
    ("width", "state"), [(0.02, State.OK), (0.08, State.OK), (0.12, State.NOTE), (0.4, State.PROBLEM)]
)
def test_what_could_be_told_decides(width, state):
    """A run's 120 seconds shrink the width by the root of 8: 0.12 becomes 4.2%, more than --precision's 3%."""
    found = judged(width)
    assert found.state is state
    assert bool(found.advice) == (state is not State.OK)


def test_the_finding_has_the_numbers():
    assert judged(0.04).found == (
        "a tiny loop (0.30 ms/batch) against itself: 0.9804 to 1.0196 in 200 rounds, 10 s; in a run's 30 to 120 s, a "
        "difference of 2.8% to 1.4% can be detected in such a loop"
    )


def test_correlated_rounds_are_a_note():
    found = judged(0.01, alike=True)
    assert found.state is State.NOTE
    assert "neighbouring rounds are correlated" in found.found


def test_too_few_rounds():
    few = dataclasses.replace(QUIET, rounds=4, low=None, high=None)
    assert few.least_difference(30.0) is None
    assert null_arm.finding(few, None).state is State.PROBLEM


def test_steal_has_its_own_remedy():
    noisy = dataclasses.replace(QUIET, high=1.5)
    assert "virtual machines" in null_arm.finding(noisy, 0.1).advice
    assert "taskset" in null_arm.finding(noisy, 0.0).advice
    assert "taskset" in null_arm.finding(noisy, None).advice


def test_the_loop_trains():
    loop = null_arm.TinyLoop()
    loop.run(30)
    losses = loop.history()["loss"]
    assert losses.shape == (30,)
    assert losses[-1] < 0.9 * losses[0]


def test_two_instances_are_timed_in_turns():
    told = []
    found = null_arm.measure(0.6, told.append)
    assert found.rounds >= 10
    assert found.low < found.estimate < found.high
    assert found.milliseconds * found.batches * found.rounds * 2 == pytest.approx(1e3 * found.seconds, rel=0.5)
    assert told
    assert np.all(np.diff(told) > 0)
    assert 0 < told[0] <= told[-1] <= 1
