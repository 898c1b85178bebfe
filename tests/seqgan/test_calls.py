import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.seqgan import calls, feeds
from loop_bench.seqgan.calls import HISTORY_KEYS, DeferredMetrics, last_row


@pytest.fixture
def feed(tiny, lines):
    return feeds.ResidentFeed(tiny, lines)


def row(real, character, scene, temperature, batch):
    """Arguments that a batch was trained with, as its row."""
    seen = [tf.reduce_sum(real), tf.reduce_sum(character), tf.reduce_sum(scene), temperature, batch]
    return tf.stack([tf.cast(value, tf.float32) for value in seen])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("name", "most"), [("three", 1), ("one", 1), ("window", 4)])
def test_every_batch_is_trained_once_with_its_number(lines, tiny, feed, name, most, compiled):
    train = calls.BY_NAME[name](row, feed, 4, compiled)
    assert train.most == most
    found = np.concatenate([train(feed.stretch(first, most), 0.5, first) for first in range(0, 8, most)])
    order = lines.epoch_order(tiny.batch_size, tiny.seed, 0)[:8]
    np.testing.assert_array_equal(found[:, 0], lines.tokens[order].sum(axis=(1, 2)))
    np.testing.assert_array_equal(found[:, 1], lines.character[order].sum(axis=1))
    np.testing.assert_array_equal(found[:, 2], lines.scene[order].sum(axis=1))
    np.testing.assert_array_equal(found[:, 3], 0.5)
    np.testing.assert_array_equal(found[:, 4], range(8))


@pytest.mark.parametrize("feed", ["resident", "pipeline"])
@pytest.mark.parametrize(("compiled", "on_gpu"), [(False, False), (True, False), (True, True)])
def test_a_window_that_is_not_full_has_the_rows_of_its_batches(lines, tiny, monkeypatch, feed, compiled, on_gpu):
    monkeypatch.setattr(calls.device, "on_gpu", lambda: on_gpu)
    feed = feeds.BY_NAME[feed](tiny, lines)
    train = calls.Window(row, feed, 4, compiled)
    windows = ((0, 3), (3, 4), (7, 1))
    found = np.concatenate([train(feed.stretch(first, count), 0.5, first)[:count] for first, count in windows])
    order = lines.epoch_order(tiny.batch_size, tiny.seed, 0)[:8]
    np.testing.assert_array_equal(found[:, 0], lines.tokens[order].sum(axis=(1, 2)))
    np.testing.assert_array_equal(found[:, 4], range(8))


def test_on_a_cpu_one_program_serves_windows_of_any_length(feed, monkeypatch):
    monkeypatch.setattr(calls.device, "on_gpu", lambda: False)
    train = calls.Window(row, feed, 4, compiled=True)
    sizes = set()
    run = train._graph
    monkeypatch.setattr(train, "_graph", lambda stretch, *rest: sizes.add(np.shape(stretch)) or run(stretch, *rest))
    for count in (1, 2, 3, 4):
        train(feed.stretch(0, count), 0.5, 0)
    assert len(sizes) == 1


@pytest.mark.parametrize(("name", "traces"), [("three", 8), ("one", 1), ("window", 1)])
def test_a_graph_is_traced_once(feed, name, traces):
    seen = []

    def counted(*arguments):
        seen.append(None)  # while tracing, or whenever it is called outside of a graph
        return row(*arguments)

    train = calls.BY_NAME[name](counted, feed, 4, compiled=False)
    for first in range(0, 8, train.most):
        train(feed.stretch(first, train.most), 0.5 + first, first)
    assert len(seen) == traces


def block(*rows):
    """A block of rows, and their number."""
    return tf.constant(rows, tf.float32), len(rows)


def test_rows_come_in_order_and_once():
    metrics = DeferredMetrics(1)
    metrics.append(*block([1], [2]))
    metrics.append(*block([3]))
    assert metrics.rows().shape == (0, 1)
    metrics.read()
    metrics.append(*block([4]))
    metrics.read()
    np.testing.assert_array_equal(metrics.rows(), [[1], [2], [3], [4]])


def test_newest_blocks_can_be_left_on_the_device():
    metrics = DeferredMetrics(1)
    metrics.append(*block([1]))
    metrics.read(leave=1)
    assert metrics.rows().shape == (0, 1)
    metrics.append(*block([2]))
    metrics.read(leave=1)
    np.testing.assert_array_equal(metrics.rows(), [[1]])
    metrics.read()
    np.testing.assert_array_equal(metrics.rows(), [[1], [2]])


def test_rows_without_a_meaning_are_left_out():
    metrics = DeferredMetrics(1)
    for rows, count in (([1], [2], [9]), 2), (([3], [9], [9]), 1):
        metrics.append(block(*rows)[0], count)
    metrics.read()
    np.testing.assert_array_equal(metrics.rows(), [[1], [2], [3]])


@pytest.mark.parametrize("blocks", [1, 5])
def test_one_read_however_many_blocks(blocks):
    metrics = DeferredMetrics(2)
    with hostsync.record() as log:
        for number in range(blocks):
            metrics.append(*block([number, 0], [number, 1]))
        metrics.read()
        metrics.read()
        metrics.rows()
    assert [read.nbytes for read in log.reads] == [blocks * 16]


def test_recent_metrics_have_names():
    assert last_row(np.empty((0, 6))) == {}
    rows = np.array([[0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 9, 9]])
    assert last_row(rows) == dict(zip(HISTORY_KEYS, (1, 2, 3, 4), strict=True))
