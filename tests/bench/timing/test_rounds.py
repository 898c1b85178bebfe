import collections
import itertools

import pytest

from bench.settings import TIMED
from bench.timing import clock
from bench.timing.rounds import InterleavedRounds, balanced_orders


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
    return InterleavedRounds({name: Loop(name, log) for name in TIMED}, batches=5)


def test_warms_all_up_before_any_round(rounds, log):
    assert log == [(name, 5) for name in TIMED]
    assert rounds.rounds == []


def test_every_order_comes_as_often_as_every_other():
    orders = collections.Counter(itertools.islice(balanced_orders(TIMED), 60))
    assert set(orders.values()) == {10}
    assert len(orders) == 6


def test_orders_do_not_repeat_with_a_period():
    first, second = (list(itertools.islice(balanced_orders(TIMED), n, n + 6)) for n in (0, 6))
    assert first != second
    assert list(itertools.islice(balanced_orders(TIMED), 12)) == [*first, *second] != [*first, *first]


def test_a_round_trains_each_loop_once_in_its_order(rounds, log):
    del log[:]
    rounds.round()
    (done,) = rounds.rounds
    assert log == [(name, 5) for name in done.order]
    assert rounds.trained == dict.fromkeys(TIMED, 10)


def test_a_round_holds_all_times_under_their_names(rounds, monkeypatch):
    durations = {"before": 3.0, "null": 3.5, "after": 1.0}
    monkeypatch.setattr(clock, "seconds_for", lambda loop, batches: durations[loop.name])
    rounds.round()
    assert rounds.rounds[0].seconds == durations
    assert rounds.rounds[0].batches == 5


def test_an_interrupted_round_is_none(rounds, monkeypatch):
    rounds.round()
    monkeypatch.setattr(clock, "seconds_for", lambda loop, batches: 1.0 if loop.name == "before" else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rounds.round()
    assert len(rounds.rounds) == 1


def test_a_block_outside_a_round_is_trained_and_not_recorded(rounds):
    assert rounds.block("after") == 1.0
    assert rounds.rounds == []
    assert rounds.trained == {"before": 5, "null": 5, "after": 10}
