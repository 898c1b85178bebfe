import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan import feeds


def batches(feed, stretches):
    """All batches of consecutive stretches (first, count), [batches, B, T], and their conditions."""
    found = []
    for first, count in stretches:
        stretch = feed.stretch(first, count)
        tf.nest.assert_same_structure(feed.spec, stretch)
        found += [feed.batch(stretch, index) for index in range(count)]
    return [np.stack(values) for values in zip(*found, strict=True)]


@pytest.mark.parametrize("name", feeds.BY_NAME)
@pytest.mark.parametrize("stretches", [[(0, 3), (3, 2)], [(17, 3), (20, 4)], [(41, 1)]])
def test_batches_are_those_of_the_epochs_orders(tiny, lines, name, stretches):
    real, character, scene = batches(feeds.BY_NAME[name](tiny, lines), stretches)
    per_epoch = lines.batches_per_epoch(tiny.batch_size)
    numbers = [first + index for first, count in stretches for index in range(count)]
    rows = np.stack([lines.epoch_order(tiny.batch_size, tiny.seed, n // per_epoch)[n % per_epoch] for n in numbers])
    np.testing.assert_array_equal(real, lines.tokens[rows])
    np.testing.assert_array_equal(character, lines.character[rows])
    np.testing.assert_array_equal(scene, lines.scene[rows])


def test_pipeline_goes_on_over_the_end_of_an_epoch(tiny, lines):
    found = [real.numpy() for real, _, _ in feeds.batches(tiny, lines, first=19).take(2)]
    for number, real in zip((19, 20), found, strict=True):
        rows = lines.epoch_order(tiny.batch_size, tiny.seed, number // 20)[number % 20]
        np.testing.assert_array_equal(real, lines.tokens[rows])


@pytest.mark.parametrize("name", feeds.BY_NAME)
def test_a_replica_takes_its_rows(tiny, lines, name):
    whole, part = (feeds.BY_NAME[name](tiny, lines, *rows) for rows in ([], [lambda values: values[4:8]]))
    for one, all_rows in zip(batches(part, [(0, 2)]), batches(whole, [(0, 2)]), strict=True):
        np.testing.assert_array_equal(one, all_rows[:, 4:8])
