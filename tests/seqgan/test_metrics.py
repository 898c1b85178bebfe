import numpy as np
import pytest
import tensorflow as tf

from bench import hostsync
from seqgan.metrics import HISTORY_KEYS, DeferredMetrics, last_row


def block(*rows):
    return tf.constant(rows, tf.float32)


def test_rows_come_in_order_and_once():
    metrics = DeferredMetrics(1)
    metrics.append(block([1], [2]))
    metrics.append(block([3]))
    assert metrics.rows().shape == (0, 1)
    metrics.read()
    metrics.append(block([4]))
    metrics.read()
    np.testing.assert_array_equal(metrics.rows(), [[1], [2], [3], [4]])


def test_newest_blocks_can_be_left_on_the_device():
    metrics = DeferredMetrics(1)
    metrics.append(block([1]))
    metrics.read(leave=1)
    assert metrics.rows().shape == (0, 1)
    metrics.append(block([2]))
    metrics.read(leave=1)
    np.testing.assert_array_equal(metrics.rows(), [[1]])
    metrics.read()
    np.testing.assert_array_equal(metrics.rows(), [[1], [2]])


@pytest.mark.parametrize("blocks", [1, 5])
def test_one_read_however_many_blocks(blocks):
    metrics = DeferredMetrics(2)
    with hostsync.record() as log:
        for number in range(blocks):
            metrics.append(block([number, 0], [number, 1]))
        metrics.read()
        metrics.read()
        metrics.rows()
    assert [read.nbytes for read in log.reads] == [blocks * 16]


def test_recent_metrics_have_names():
    assert last_row(np.empty((0, 6))) == {}
    rows = np.array([[0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 9, 9]])
    assert last_row(rows) == dict(zip(HISTORY_KEYS, (1, 2, 3, 4), strict=True))
