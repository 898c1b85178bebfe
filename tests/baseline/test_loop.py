import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.baseline.loop import PROGRESS_EVERY, BaselineLoop
from loop_bench.seqgan.calls import HISTORY_KEYS
from loop_bench.seqgan.loop import OptimizedLoop


@pytest.fixture
def make(tiny, lines):
    return lambda **changes: BaselineLoop(dataclasses.replace(tiny, **changes), lines)


@pytest.fixture(scope="module")
def traced(tiny, lines):
    return BaselineLoop(tiny, lines)


@pytest.fixture
def loop(traced):
    """A loop shared by all tests, because tracing takes seconds; it is one batch past a progress line."""
    traced.run(1 + -trained(traced) % PROGRESS_EVERY)
    before = [variable.numpy() for variable in traced.variables]
    yield traced
    for variable, value in zip(traced.variables, before, strict=True):  # a test may have broken it
        variable.assign(value)


def trained(loop):
    """Number of batches trained so far."""
    return loop.describe()["samples"] // loop.config.batch_size


@pytest.mark.slow
def test_history_is_that_of_the_optimised_loop(make, tiny, lines):
    loop, optimised = make(), OptimizedLoop(tiny, lines)
    for one in (loop, optimised):
        one.run(23)
    assert tuple(loop.history()) == tuple(optimised.history()) == HISTORY_KEYS
    for key in HISTORY_KEYS:
        assert loop.history()[key].shape == optimised.history()[key].shape == (23,)
        assert loop.history()[key].dtype == optimised.history()[key].dtype


def test_reads_four_metrics_a_batch_and_four_more_every_tenth(loop):
    first = trained(loop)
    with hostsync.record() as log:
        loop.run(20)
        loop.history()
    assert len(log.reads) == 20 * 4 + 2 * 4
    assert {read.route for read in log.reads} == {"numpy"}
    assert all(read.file.endswith("loop.py") and read.nbytes == 4 for read in log.reads)
    assert loop.progress.startswith(f"batch {first + 19}: g_loss ")


def test_temperature_is_fixed(loop):
    loop.run(20)  # into the next epoch
    assert loop.temperature == 0.8


def test_updates_are_plain(loop, lines):
    """No clipping and no guard: a NaN must reach the weights."""
    loop.networks.generator.trainable_variables[-1].assign_add(tf.fill([loop.config.vocabulary_size], np.nan))
    fake = tf.constant(lines.tokens[:16])
    who, where = tf.constant(lines.character[:16]), tf.constant(lines.scene[:16])
    loop.train_generator_adversarial(fake, who, where, tf.constant(0.8))
    assert np.all(np.isnan(loop.networks.generator.trainable_variables[3].numpy()))


@pytest.mark.slow
def test_resumes_where_another_loop_stopped(make, tiny, lines):
    whole, first = make(), make()
    whole.run(25)
    first.run(20)
    second = BaselineLoop(tiny, lines, first.networks, start_batch=20)
    second.run(5)
    np.testing.assert_array_equal(second.history()["g_loss"], whole.history()["g_loss"][20:])


def test_more_steps_a_batch(loop, monkeypatch):
    """The number of steps is not part of a graph."""
    monkeypatch.setattr(loop, "config", dataclasses.replace(loop.config, d_steps=3, g_steps=2))
    optimizers = loop.networks.d_optimizer, loop.networks.g_optimizer
    before = [int(optimizer.iterations) for optimizer in optimizers]
    loop.run(2)
    assert [int(optimizer.iterations) for optimizer in optimizers] == [before[0] + 6, before[1] + 4]


@pytest.mark.slow
def test_an_evaluation_changes_nothing(make):
    watched, alone = make(), make()
    for batches in (1, 7):
        watched.run(batches)
        found = watched.evaluate()
    alone.run(8)
    assert found == alone.evaluate()
    assert list(found) == ["oracle NLL (nats a token) ↓"]
    for one, other in zip(watched.variables, alone.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
