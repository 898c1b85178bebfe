import collections
import itertools

import pytest

from bench.timing.rounds import williams_orders

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
def test_in_a_cycle_each_name_is_everywhere_and_behind_every_other(count, cycle):
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
