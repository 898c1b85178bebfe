import numpy as np
import pytest
import tensorflow as tf

from loop_bench.hostsync import recorder


@pytest.fixture(scope="module")
def cost(load_script):
    return load_script("hostsync/cost.py")


def test_every_pair_has_a_block_with_a_recorder_and_one_without(cost):
    seen = []

    def block(count):
        seen.append((count, bool(recorder._hub._observers)))

    without, recorded = cost.blocks(block, 3, 40, "test")
    assert without.shape == recorded.shape == (40,)
    assert np.all(without > 0)
    assert np.all(recorded > 0)
    assert [count for count, _ in seen] == [3] * 80
    pairs = [tuple(recording for _, recording in seen[first : first + 2]) for first in range(0, 80, 2)]
    assert set(pairs) == {(True, False), (False, True)}  # in either order


def test_the_loops_read_nothing(cost):
    from loop_bench import hostsync

    for make in (cost.graph_step, cost.eager_ops):
        block = make()
        block(2)
        with hostsync.record() as log:
            block(2)
        assert log.reads == []


def test_a_reading_block_reads_as_often_as_it_says(cost):
    from loop_bench import hostsync

    with hostsync.record(stack=True) as log:
        cost.reading(float, tf.constant(1.0))(5)
    assert len(log.reads) == 5
    assert sum(frame.function == "deep" for frame in log.reads[0].stack) == cost.DEPTH + 1
