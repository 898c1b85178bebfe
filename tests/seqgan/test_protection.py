import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan import protection
from loop_bench.seqgan.guard import WARM_UP
from loop_bench.seqgan.protection import ClippedUpdate, PlainUpdate, ZeroedUpdate

# An element of the gradient after ten ordinary updates, the guard's warm-up, and what each rung comes through.
FAULTS = {"nan": np.nan, "overflow": 1e20, "spike": 1e4}
SURVIVES = {
    "none": {"spike"},
    "clip": {"spike"},
    "clip+zero": {"nan", "spike"},
    "clip+skip": {"nan", "overflow", "spike"},
    "guard": {"nan", "overflow", "spike"},
}


@pytest.fixture(scope="module")
def after(tiny):
    """Values of the weight and of the optimizer's variables after a fault, by protection and fault."""

    @functools.cache
    def graph(name):
        weight = keras.Variable([1.0, 2.0], name="weight")
        optimizer = keras.optimizers.Adam(0.01)
        optimizer.build([weight])
        update = protection.BY_NAME[name](optimizer, tiny)
        kept = [weight, *optimizer.variables]
        state = [(variable, variable.numpy()) for variable in (*kept, *update.state)]
        return tf.function(lambda gradient: update.apply([gradient], [weight])), kept, state

    @functools.cache
    def values(name, fault):
        update, kept, state = graph(name)
        for variable, first in state:
            variable.assign(first)
        for size in [0.005] * WARM_UP + [FAULTS[fault]]:
            update(tf.constant([size, 0.005]))
        return [variable.numpy() for variable in kept]

    return values


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", protection.BY_NAME)
def test_each_rung_stays_finite_through_its_faults(after, name, fault):
    assert all(np.all(np.isfinite(value)) for value in after(name, fault)) == (fault in SURVIVES[name])


def test_each_rung_leaves_less_of_a_spike_in_adams_memory(after):
    # The second moment, which stops the updates to come.
    left = {name: float(np.max(after(name, "spike")[-1])) for name in protection.BY_NAME}
    assert left["none"] > 1e3 * left["clip"]
    assert left["clip"] == pytest.approx(left["clip+zero"]) == pytest.approx(left["clip+skip"])
    assert left["clip+skip"] > 1e3 * left["guard"]


def make(kind, *limits):
    variable = keras.Variable([1.0, 2.0, 3.0], name="a")
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([variable])
    update = kind(optimizer, *limits)
    return update, optimizer, variable


def apply(update, variable, gradient, **options):
    return float(update.apply([tf.constant(gradient)], [variable], **options))


def test_plain_is_the_optimizers_own():
    update, _, variable = make(PlainUpdate)
    _, optimizer, other = make(PlainUpdate)
    for gradient in ([3.0, -4.0, 0.0], [1e4, 0.1, 0.2]):
        apply(update, variable, gradient)
        optimizer.apply([tf.constant(gradient)], [other])
    np.testing.assert_array_equal(variable.numpy(), other.numpy())


def test_clipped_is_the_optimizer_fed_with_clipped_gradients():
    update, _, variable = make(ClippedUpdate, 1.0)
    _, optimizer, other = make(PlainUpdate)
    for gradient in ([3.0, -4.0, 0.0], [0.1, 0.2, 0.2]):
        assert apply(update, variable, gradient) == pytest.approx(np.linalg.norm(gradient))
        clipped, _ = tf.clip_by_global_norm([tf.constant(gradient)], 1.0)
        optimizer.apply(clipped, [other])
    np.testing.assert_array_equal(variable.numpy(), other.numpy())


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e20])
def test_one_bad_element_makes_every_weight_nan_when_clipped(bad):
    update, _, variable = make(ClippedUpdate, 1.0)
    apply(update, variable, [bad, 0.1, 0.2])
    assert np.all(np.isnan(variable.numpy()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_zeros_keep_the_weights_finite_but_are_no_skip(bad):
    update, optimizer, variable = make(ZeroedUpdate, 1.0)
    apply(update, variable, [0.1, 0.1, 0.1])
    before = variable.numpy()
    apply(update, variable, [bad, bad, bad])
    assert np.all(np.isfinite(variable.numpy()))
    assert np.all(variable.numpy() < before)  # by the momentum of the batch before
    assert int(optimizer.iterations) == 2


def test_zeros_do_not_help_where_the_norm_overflows():
    update, _, variable = make(ZeroedUpdate, 1.0)
    apply(update, variable, [1e20, 0.1, np.nan])
    assert np.all(np.isnan(variable.numpy()))


@pytest.mark.parametrize("make_update", [(PlainUpdate,), (ClippedUpdate, 1.0), (ZeroedUpdate, 1.0)], ids=str)
def test_nothing_is_skipped_or_counted(make_update):
    update, optimizer, variable = make(*make_update)
    apply(update, variable, [0.1, 0.1, 0.1], allowed=tf.constant(False))
    assert int(optimizer.iterations) == 1
    apply(update, variable, [np.nan, 0.1, 0.1])
    assert (int(update.consecutive), int(update.total), update.state) == (0, 0, [])
