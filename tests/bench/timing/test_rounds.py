import collections
import itertools

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from loop_bench.settings import TIMED
from loop_bench.timing import clock
from loop_bench.timing.rounds import Interleaver, balanced_orders, permuted_orders, rotated, williams_orders
from loop_bench.timing.stopping import Exactly


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


def interleaved(loops, **more):
    timers = {name: lambda batches, loop=loop: clock.seconds_for(loop, batches) for name, loop in loops.items()}
    return Interleaver(timers, 5, **more)


@pytest.fixture
def rounds(log):
    return interleaved({name: Loop(name, log) for name in TIMED})


def test_warms_all_up_before_any_round(rounds, log):
    assert log == [(name, 5) for name in TIMED]
    assert rounds.rounds == []


def test_every_order_comes_as_often_as_every_other():
    orders = collections.Counter(itertools.islice(permuted_orders(TIMED), 60))
    assert set(orders.values()) == {10}
    assert len(orders) == 6


def test_orders_do_not_repeat_with_a_period():
    first, second = (list(itertools.islice(permuted_orders(TIMED), n, n + 6)) for n in (0, 6))
    assert first != second
    assert list(itertools.islice(permuted_orders(TIMED), 12)) == [*first, *second] != [*first, *first]


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


def test_an_interrupted_round_is_not_recorded(rounds, monkeypatch):
    rounds.round()
    monkeypatch.setattr(clock, "seconds_for", lambda loop, batches: 1.0 if loop.name == "before" else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rounds.round()
    assert len(rounds.rounds) == 1


def test_a_block_outside_a_round_is_trained_and_not_recorded(rounds):
    assert rounds.block("after") == 1.0
    assert rounds.rounds == []
    assert rounds.trained == {"before": 5, "null": 5, "after": 10}


@pytest.mark.parametrize(("count", "orders"), [(1, permuted_orders), (3, permuted_orders), (4, williams_orders)])
def test_many_loops_have_williams_orders(count, orders):
    names = NAMES[:count]
    assert [*itertools.islice(balanced_orders(names), 30)] == [*itertools.islice(orders(names), 30)]


def test_rounds_go_on_until_the_rule_says_so(rounds):
    told = []
    ended, seconds = rounds.run(Exactly(4), lambda done, share: told.append((done, share)))
    assert (ended, len(rounds.rounds)) == ("as many as asked for", 4)
    assert told == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]
    assert seconds > sum(sum(done.seconds.values()) for done in rounds.rounds)


class Mortal(Loop):
    """Fails after a number of blocks."""

    def __init__(self, name, log, blocks):
        super().__init__(name, log)
        self.left = blocks

    def run(self, batches):
        self.left -= 1
        if self.left < 0:
            raise MemoryError(self.name)
        super().run(batches)


def mortals(log, blocks, **more):
    return interleaved({name: Mortal(name, log, left) for name, left in blocks.items()}, **more)


def test_an_error_is_raised_without_a_callback(log):
    rounds = mortals(log, {"a": 2, "b": 9})
    rounds.round()
    with pytest.raises(MemoryError):
        rounds.round()
    assert len(rounds.rounds) == 1


def test_a_failing_loop_is_dropped_and_its_round_discarded(log):
    failed = []
    rounds = mortals(log, {"a": 2, "b": 9, "c": 9}, failed=lambda name, error: failed.append((name, str(error))))
    ended, _ = rounds.run(Exactly(3))
    assert failed == [("a", "a")]
    assert ended == "as many as asked for"
    assert [sorted(done.seconds) for done in rounds.rounds] == [["a", "b", "c"], ["b", "c"], ["b", "c"]]
    assert sorted(rounds.timers) == ["b", "c"]


def test_rounds_end_without_a_reason_when_all_loops_failed(log):
    failed = []
    rounds = mortals(log, {"a": 0, "b": 3}, failed=lambda name, error: failed.append(name))
    assert failed == ["a"]  # in the warm-up
    assert rounds.run(Exactly(9))[0] is None
    assert (failed, len(rounds.rounds)) == (["a", "b"], 2)


NAMES = "abcdefghijklm"


def first(count, orders, seed=0):
    return [*itertools.islice(williams_orders(NAMES[:count], seed), orders)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 13])
def test_each_order_has_each_name_once(count):
    assert all(sorted(order) == [*NAMES[:count]] for order in first(count, 3 * count))


@pytest.mark.parametrize("count", [2, 3, 7, 12])
@pytest.mark.parametrize("pairs", [1, 2, 5])
def test_after_every_second_round_each_name_was_as_early_as_late(count, pairs):
    places = collections.Counter()
    for order in first(count, 2 * pairs):
        places.update({name: place for place, name in enumerate(order)})
    assert set(places.values()) == {pairs * (count - 1)}


@pytest.mark.parametrize(("count", "cycle"), [(2, 2), (4, 4), (12, 12), (3, 6), (7, 14), (13, 26)])
def test_in_a_cycle_each_name_takes_each_place_and_follows_each_other(count, cycle):
    orders = first(count, cycle)
    at = collections.Counter((name, place) for order in orders for place, name in enumerate(order))
    after = collections.Counter(pair for order in orders for pair in itertools.pairwise(order))
    assert set(at.values()) == {cycle // count}
    assert set(after.values()) == {cycle // count}
    assert len(after) == count * (count - 1)


def test_shuffled_anew_and_the_same_from_the_same_seed():
    one, other = first(6, 6), first(6, 12)[6:]
    assert one != other
    assert first(6, 12) == [*one, *other]
    assert first(6, 6, seed=1) != one


@given(count=integers(1, 6))
def test_in_groups_each_loop_is_at_each_place_equally_often(count):
    names = [str(number) for number in range(count)]
    orders = [rotated(names, group) for group in range(2 * count)]
    assert all(sorted(order) == names for order in orders)
    assert all([order[place] for order in orders].count(name) == 2 for name in names for place in range(count))


def test_no_loops_have_no_order():
    assert rotated([], 3) == []


def test_loops_are_warmed_up_in_another_order_in_each_group():
    def warmed_up(group):
        begun = []
        Interleaver({name: lambda batches, name=name: begun.append(name) or 1.0 for name in "abc"}, 1, group=group)
        return "".join(begun)

    assert [warmed_up(group) for group in range(3)] == ["abc", "bca", "cab"]
