import pytest

from loop_bench.cli.replay import ReplayedTimes


def test_each_pair_of_readings_is_a_duration():
    clock = ReplayedTimes()
    clock.load([0.1, 3e-7, 5.0])
    assert [-(clock() - clock()) for _ in range(3)] == [0.1, 3e-7, 5.0]  # exactly
    assert clock.left == 0
    with pytest.raises(IndexError):
        clock()


def test_loading_forgets_what_was_left():
    clock = ReplayedTimes()
    clock.load([1.0, 2.0])
    clock()
    clock.load([3.0])
    assert clock.left == 2
    assert (clock(), clock()) == (0.0, 3.0)
