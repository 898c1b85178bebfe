import numpy as np
import pytest


@pytest.fixture(scope="module")
def cost(load_script):
    return load_script("first_batch/cost.py")


def test_each_is_taken_once_from_each_seed_in_changing_orders(cost):
    seen = []

    def take(name):
        return lambda seed: seen.append((name, seed)) or float(seed)

    found = cost.in_turns({name: take(name) for name in "abc"}, 20)
    assert all(list(samples) == [*range(1, 21)] for samples in found.values())
    rounds = [seen[first : first + 3] for first in range(0, len(seen), 3)]
    assert all(sorted(each) == [(name, seed) for name in "abc"] for seed, each in enumerate(rounds, start=1))
    assert len({tuple(name for name, _ in each) for each in rounds}) > 3


def test_how_many_times_as_long(cost):
    spread = 1 + 0.01 * np.arange(12)
    frame = cost.table({cost.BEFORE: 2 * spread, cost.AFTER: 8 * spread, cost.CACHED: 3 * spread})
    longer = frame["this / loop before (95%)"]
    assert longer[0] == ""
    assert longer[1].startswith("4.00 (")
    assert longer[2].startswith("1.50 (")
