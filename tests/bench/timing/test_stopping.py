import pytest
from hypothesis import given
from hypothesis.strategies import integers
from records import rounds

from loop_bench.settings import Settings
from loop_bench.statistics import FEWEST_PAIRS
from loop_bench.timing import stopping
from loop_bench.timing.stopping import AtLeast, Exactly, OutOfTime, UntilPrecise


def drive(rule, samples):
    """Applies a rule as the harness does; returns the number of rounds and why they ended."""
    for length in range(len(samples) + 1):
        if ended := rule(samples[:length]):
            return length, ended
    return len(samples), None


def test_exactly():
    rule = Exactly(3)
    assert drive(rule, rounds(count=9)) == (3, "as many as asked for")
    assert [rule.share(rounds(count=n)) for n in (0, 3)] == [0.0, 1.0]


def test_continues_until_the_interval_is_narrow():
    samples = rounds(noise=0.05, count=400)
    length, ended = drive(UntilPrecise(0.03, 1e9, clock=lambda: 0.0), samples)
    assert ended == "precise"
    assert stopping.speed_up(samples[:length]).width <= 0.03
    assert stopping.speed_up(samples[: int(0.8 * length)]).width > 0.03  # and not much longer than that


def test_more_precision_takes_more_rounds():
    samples = rounds(noise=0.03, count=400)
    lengths = [drive(UntilPrecise(p, 1e9, clock=lambda: 0.0), samples)[0] for p in (0.1, 0.03, 0.015)]
    assert lengths == sorted(lengths)
    assert lengths[2] > 2 * lengths[1]


def test_few_rounds_are_never_precise_enough():
    assert drive(UntilPrecise(0.03, 1e9, clock=lambda: 0.0), rounds(noise=0, count=99)) == (FEWEST_PAIRS, "precise")


def test_time_runs_from_the_first_call():
    now = 100.0
    rule = UntilPrecise(0.0001, 10.0, clock=lambda: now)
    samples = rounds(noise=0.1, count=5)
    assert rule([]) is None
    now = 109.9
    assert rule(samples) is None
    assert rule.share(samples) == pytest.approx(0.99)
    now = 110.0
    assert rule(samples) == "out of time"


def test_the_position_of_the_ratio_does_not_matter():
    """Stopping when a difference shows would find differences where there are none."""
    lengths = {
        drive(UntilPrecise(0.03, 1e9, clock=lambda: 0.0), rounds(after=after, noise=0.03, count=200))[0]
        for after in (0.06, 0.05, 0.001)
    }
    assert len(lengths) == 1


def test_rounds_and_seconds_choose_the_rule():
    assert isinstance(stopping.rule(4, 9.0), Exactly)
    assert isinstance(stopping.rule(None, 9.0), OutOfTime)


def settings(**changes):
    return Settings(before="a:b", after="a:b", preset="any", seed=0, batches=1, **changes)


HUNDRED = rounds(count=100)


@given(wanted=integers(1, 100), processes=integers(1, 20))
def test_rounds_are_shared_out_among_groups(wanted, processes):
    asked = settings(rounds=wanted, processes=processes)
    of_groups = [drive(stopping.of_group(asked, group), HUNDRED) for group in range(processes)]
    assert {ended for _, ended in of_groups} == {"as many as asked for"}
    numbers = [number for number, _ in of_groups]
    assert sum(numbers) == wanted
    assert max(numbers) - min(numbers) <= 1


def test_a_group_is_less_precise_than_a_run_and_has_its_share_of_the_time():
    samples, now = rounds(noise=0.03, count=400), 0.0
    alone, of_many = (stopping.of_group(settings(processes=n), 0, lambda: now) for n in (1, 8))
    as_precise = UntilPrecise(1.5 * 0.03, 1e9, clock=lambda: 0.0)
    assert drive(of_many, samples) == drive(as_precise, samples)
    assert drive(alone, samples) == drive(UntilPrecise(0.03, 1e9, clock=lambda: 0.0), samples)
    now = 120 / 8
    assert of_many([]) == "out of time"
    assert alone([]) is None


def test_time_alone_may_end_them():
    now = iter([100.0, 100.0, 115.0, 115.0, 199.0, 199.0, 199.0])
    rule = OutOfTime(60.0, clock=lambda: next(now))
    assert rule(rounds(count=1000)) is None
    assert rule(rounds(count=1000)) is None
    assert rule.share([]) == 0.25
    assert rule([]) == "out of time"
    assert rule.share([]) == 1.0


def test_at_least_so_many_rounds_however_long_they_take():
    over = UntilPrecise(1e-9, 0.0, clock=lambda: 0.0)
    assert drive(AtLeast(12, over), rounds(count=30)) == (12, "out of time")
    assert drive(AtLeast(3, Exactly(7)), rounds(count=30)) == (7, "as many as asked for")


def test_the_share_never_exceeds_that_of_the_wanted_rounds():
    over = UntilPrecise(1e-9, 1e-9)
    over(rounds(count=1))
    assert AtLeast(12, over).share(rounds(count=3)) == 0.25
    assert AtLeast(4, Exactly(8)).share(rounds(count=4)) == 0.5
