import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bench import hostsync
from bench.faults import Fault
from bench.faults.injection import Injector
from seqgan.errors import NonFiniteUpdatesError
from seqgan.loop import OptimizedLoop
from seqgan.metrics import HISTORY_KEYS


@pytest.fixture
def make(tiny, lines):
    return lambda **changes: OptimizedLoop(dataclasses.replace(tiny, **changes), lines)


def weights(loop):
    return [variable.numpy() for variable in loop.variables]


def assert_same(one, other):
    for key, values in one.history().items():
        np.testing.assert_array_equal(values, other.history()[key])
    for first, second in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(first, second)


def test_history_has_one_value_a_batch(make):
    loop = make()
    loop.run(3)
    loop.run(24)  # over the end of an epoch of 20
    history = loop.history()
    assert tuple(history) == HISTORY_KEYS
    assert all(values.shape == (27,) and np.all(np.isfinite(values)) for values in history.values())


def test_windows_do_not_change_what_is_computed(make):
    one, other = make(window=1), make(window=7)
    one.run(23)
    other.run(5)
    other.run(18)
    assert_same(one, other)


def test_xla_computes_the_same_but_for_rounding(make):
    one, other = make(jit_compile=True), make()
    one.run(5)
    other.run(5)
    for key, values in one.history().items():
        np.testing.assert_allclose(values, other.history()[key], rtol=1e-3, err_msg=key)


def test_reads_the_device_once_an_epoch(make):
    loop = make()
    loop.run(1)
    with hostsync.record() as log:
        loop.run(19)  # to the end of the first epoch
        assert log.reads == []
        loop.run(40)
    assert [read.shape for read in log.reads] == [(20, 6), (20, 6)]


def test_progress_leaves_the_newest_window_on_the_device(make):
    loop = make(window=2)
    loop.run(2)
    assert loop.recent() == {}
    loop.run(2)
    recent = loop.recent()
    assert recent["g_loss"] == loop.history()["g_loss"][1]


def test_temperature_is_annealed_by_the_epoch(make):
    loop = make()
    seen = []
    for _ in range(3):
        seen.append(loop.temperature)
        loop.run(20)
    assert seen == [2.0, 2.0 * 0.95, 2.0 * 0.95**2]


def test_discriminator_is_trained_every_nth_batch(make):
    loop = make(d_train_interval=3, window=4)
    loop.run(8)
    d_loss = loop.history()["d_loss"]
    assert d_loss[0] == d_loss[1] == d_loss[2] != d_loss[3]
    assert d_loss[3] == d_loss[4] == d_loss[5] != d_loss[6]
    assert int(loop.networks.d_optimizer.iterations) == 3
    assert int(loop.networks.g_optimizer.iterations) == 8


def test_more_steps_a_batch(make):
    loop = make(d_steps=3, g_steps=2)
    loop.run(2)
    assert int(loop.networks.d_optimizer.iterations) == 6
    assert int(loop.networks.g_optimizer.iterations) == 4
    assert len(loop.history()["g_loss"]) == 2


def test_goes_on_where_another_stopped(make, tiny, lines):
    whole = make()
    whole.run(25)
    first = make()
    first.run(20)
    second = OptimizedLoop(tiny, lines, first.networks, start_batch=20)
    second.run(5)
    np.testing.assert_array_equal(second.history()["g_loss"], whole.history()["g_loss"][20:])


def test_persistent_nan_is_skipped_and_then_named(make):
    with Injector(Fault("nan", target="generator")) as injector:
        loop = make(max_consecutive_skips=30)
        loop.run(20)
        before = [weight.numpy() for weight in loop.networks.generator.trainable_variables]
        injector.arm()
        loop.run(21)
        with pytest.raises(NonFiniteUpdatesError, match=r"the generator was not finite 30 times.*batch 49"):
            loop.run(40)
    assert loop.describe()["skipped_updates"] == {"generator": 50, "discriminator": 0}
    for old, weight in zip(before, loop.networks.generator.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())
    assert all(np.all(np.isfinite(values)) for values in weights(loop))


@pytest.mark.parametrize("window", [7, 20, 50])
def test_skips_are_seen_whatever_the_window_and_though_the_history_was_read(make, window):
    with Injector(Fault("inf", target="discriminator")) as injector:
        injector.arm()
        loop = make(max_consecutive_skips=5, window=window)
        loop.run(20)
        loop.history()
        with pytest.raises(NonFiniteUpdatesError, match=r"the discriminator was not finite 5 times.*batch 4"):
            loop.recent()


def test_keeps_the_names_that_users_know(make, tiny, lines):
    loop = make()
    who, where = tf.constant(lines.character[:16]), tf.constant(lines.scene[:16])
    fake = loop.generate_fake_samples(who, where, tf.constant(1.0), tf.constant(0))
    assert fake.shape == (tiny.batch_size, tiny.sequence_length)
    d_loss, d_accuracy = loop.train_discriminator_adversarial(tf.constant(lines.tokens[:16]), fake)
    g_loss, g_reward = loop.train_generator_adversarial(fake, who, where, temperature=1.0)
    assert all(np.isfinite(value) for value in (d_loss, d_accuracy, g_loss, g_reward))
