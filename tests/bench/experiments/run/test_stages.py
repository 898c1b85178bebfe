import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.experiments.run import stages
from loop_bench.experiments.run.stages import LEAST_ROUNDS, MOST_ROUNDS, TOTAL, Pace, Stage, StageClock
from loop_bench.settings import ARMS, NULL


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_stage_inside_another_is_no_part_of_it():
    clock = Clock()
    watch = StageClock(clock)
    with watch.of(Stage.ROUNDS):
        clock.now += 1.0
        with watch.of(Stage.BUILD):
            clock.now += 10.0
        clock.now += 2.0
    clock.now += 100.0  # between stages
    with watch.of(Stage.BUILD):
        clock.now += 20.0
    watch.add(Stage.START, 5.0)
    assert watch.seconds == {Stage.ROUNDS: 3.0, Stage.BUILD: 30.0, Stage.START: 5.0}


def test_a_stage_that_fails_has_taken_its_time():
    clock = Clock()
    watch = StageClock(clock)
    with pytest.raises(ValueError), watch.of(Stage.SYNCS):  # noqa: PT011
        clock.now += 2.0
        raise ValueError
    clock.now += 5.0
    with watch.of(Stage.ROUNDS):
        clock.now += 1.0
    assert watch.seconds == {Stage.SYNCS: 2.0, Stage.ROUNDS: 1.0}


def test_expectations_follow_the_measured_pace():
    pace = Pace(first_batch={"before": 3.0, "after": 10.0}, batch={"before": 0.1, "after": 0.05})
    assert pace.building(*ARMS, NULL) == 3.0 + 10.0 + 3.0
    assert pace.training(100, *ARMS) == pytest.approx(15.0)
    assert pace.comparing(10) > pace.building(*ARMS) + pace.training(10, *ARMS)
    assert pace.watching(5.0, "after") > 15.0


@pytest.mark.parametrize(
    "shown", [{"start": 7.2}, {"first_batch": {"before": 3.6}}, {"start": 99.0, "batch": {"after": 0.034}}]
)
def test_a_machine_that_takes_twice_as_long_for_one_thing_does_so_for_all(shown):
    usual, slow = Pace(), Pace(**shown)
    for expect in (
        lambda pace: pace.building(*ARMS),
        lambda pace: pace.training(10, *ARMS),
        lambda pace: pace.surviving(4, 2, small=True),
        lambda pace: pace.surviving(4, 2, small=False),
        lambda pace: pace.scaled(1.0),
    ):
        assert expect(slow) == pytest.approx(2 * expect(usual))


def test_small_loops_have_no_part_in_what_large_ones_take():
    large = Pace(first_batch={"before": 1.8, "after": 5.7}, batch={"before": 0.051, "after": 0.017})
    assert large.surviving(4, 2, small=True) < large.surviving(4, 2, small=False)
    assert large.surviving(4, 1, small=True) == 2 * large.surviving(4, 2, small=True)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_rounds_have_what_is_left_of_the_whole_within_bounds(spent, expected):
    seconds = stages.for_rounds(spent, expected)
    assert LEAST_ROUNDS <= seconds <= MOST_ROUNDS
    if LEAST_ROUNDS < seconds < MOST_ROUNDS:
        assert spent + seconds + expected == pytest.approx(TOTAL)
