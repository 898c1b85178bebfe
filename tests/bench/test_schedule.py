import itertools

import pytest

from bench import clock
from bench.schedule import InterleavedRounds


class Loop:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def run(self, batches):
        self.log.append((self.name, batches))


@pytest.fixture
def log(monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(clock, "fence", lambda: None)
    monkeypatch.setattr(clock.time, "perf_counter", lambda: float(next(ticks)))
    return []


@pytest.fixture
def rounds(log):
    return InterleavedRounds({arm: Loop(arm, log) for arm in ("before", "after")}, batches=5)


def test_warms_both_up_before_any_round(rounds, log):
    assert log == [("before", 5), ("after", 5)]
    assert rounds.rounds == []


def test_order_is_balanced(rounds):
    rounds.run(4)
    assert [done.order for done in rounds.rounds] == [("before", "after"), ("after", "before")] * 2
    assert rounds.trained == {"before": 25, "after": 25}


def test_a_round_holds_both_times_under_their_names(rounds, monkeypatch):
    durations = iter([3.0, 1.0])
    monkeypatch.setattr(clock, "seconds_for", lambda loop, batches: next(durations))
    rounds.open("after")
    rounds.close("before")
    (done,) = rounds.rounds
    assert (done.batches, done.order, done.seconds) == (5, ("after", "before"), {"after": 3.0, "before": 1.0})


def test_a_block_outside_a_round_is_trained_and_not_recorded(rounds):
    rounds.open("before")
    rounds.close("after")
    rounds.close("after")
    assert len(rounds.rounds) == 1
    assert rounds.trained == {"before": 10, "after": 15}


def test_a_round_of_one_arm_is_none(rounds):
    rounds.open("after")
    with pytest.raises(ValueError, match="a round is of before and after"):
        rounds.close("after")
