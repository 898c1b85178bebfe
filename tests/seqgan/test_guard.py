import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgan.guard import MEMORY, GuardedUpdate

BAD = {
    "nan": [np.nan, 1.0, 1.0],
    "inf": [np.inf, 1.0, 1.0],
    "-inf": [1.0, 1.0, -np.inf],
    "squares overflow": [1e20, 1.0, 1.0],
}


def make(clip_norm=1.0, clip_ratio=math.inf):
    variables = [keras.Variable([1.0, 2.0, 3.0], name="a"), keras.Variable([[4.0]], name="b")]
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(variables)
    return GuardedUpdate(optimizer, clip_norm, clip_ratio), optimizer, variables


def step(guard, variables, compiled):
    return tf.function(lambda a, b: guard.apply([a, b], variables), jit_compile=compiled)


def bits(variables):
    return [np.asarray(variable.numpy()).tobytes() for variable in variables]


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("kind", BAD)
def test_skips_all_or_nothing_bit_for_bit(kind, compiled):
    guard, optimizer, variables = make()
    update = step(guard, variables, compiled)
    update(tf.constant([0.1, 0.2, 0.3]), tf.constant([[0.4]]))  # so that the slots are not zero
    state = [*variables, *optimizer.variables, guard.mean_norm]
    before = bits(state)
    norm = update(tf.constant(BAD[kind]), tf.constant([[0.5]]))
    assert not np.isfinite(norm)
    assert bits(state) == before
    assert (int(guard.consecutive), int(guard.total)) == (1, 1)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_skips_what_is_not_allowed_though_it_is_finite(compiled):
    guard, optimizer, variables = make()
    gradients = [tf.constant([0.1, 0.2, 0.3]), tf.constant([[0.4]])]
    update = tf.function(lambda allowed: guard.apply(gradients, variables, allowed), jit_compile=compiled)
    update(tf.constant(True))
    state = [*variables, *optimizer.variables, guard.mean_norm]
    before = bits(state)
    update(tf.constant(False))
    assert bits(state) == before
    assert (int(guard.consecutive), int(guard.total), int(optimizer.iterations)) == (1, 1, 1)


def test_counters_walk_through_every_state():
    guard, optimizer, variables = make()
    update = step(guard, variables, compiled=False)
    good, bad, other = tf.constant([0.1, 0.1, 0.1]), tf.constant(BAD["nan"]), tf.constant([[0.1]])
    seen = []
    for gradient in (good, bad, bad, good, bad):
        update(gradient, other)
        seen.append((int(guard.consecutive), int(guard.total), int(optimizer.iterations)))
    assert seen == [(0, 0, 1), (1, 1, 1), (2, 2, 1), (0, 2, 2), (1, 3, 2)]


def test_bad_in_one_variable_skips_all():
    guard, _, variables = make()
    before = bits(variables)
    guard.apply([tf.constant([0.1, 0.1, 0.1]), tf.constant([[np.nan]])], variables)
    assert bits(variables) == before


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), st.floats(0.01, 100.0))
def test_clips_as_an_optimizer_fed_with_clipped_gradients(gradient, clip_norm):
    guard, _, guarded = make(clip_norm)
    _, optimizer, plain = make()
    gradients = [tf.constant(gradient), tf.constant([[0.5]])]
    guard.apply(gradients, guarded)
    clipped, _ = tf.clip_by_global_norm(gradients, clip_norm)
    optimizer.apply(clipped, plain)
    for one, other in zip(guarded, plain, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)


def test_what_is_not_clipped_is_the_plain_update_bit_for_bit():
    guard, _, guarded = make(clip_norm=3.7, clip_ratio=1.3)
    _, optimizer, plain = make()
    for factor in (1.0, 1.1, 0.7, 1.2):
        gradients = [factor * tf.constant([0.1, 0.2, 0.3]), factor * tf.constant([[0.4]])]
        guard.apply(gradients, guarded)
        optimizer.apply(gradients, plain)
    assert bits(guarded) == bits(plain)


def test_the_mean_is_of_norms_after_clipping():
    guard, _, variables = make(clip_norm=5.0, clip_ratio=10.0)
    means = []
    for size in (0.1, 0.3, 1e4, np.nan):
        guard.apply([tf.constant([size, 0.0, 0.0]), tf.constant([[0.0]])], variables)
        means.append(float(guard.mean_norm))
    second = MEMORY * 0.1 + (1 - MEMORY) * 0.3
    third = MEMORY * second + (1 - MEMORY) * 10 * second
    assert means == pytest.approx([0.1, second, third, third], rel=1e-5)


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_before_the_first_mean_only_the_fixed_limit_counts(size):
    guard, _, variables = make(clip_norm=5.0, clip_ratio=10.0)
    guard.apply([tf.constant([size, 0.0, 0.0]), tf.constant([[0.0]])], variables)
    assert float(guard.mean_norm) == min(size, 5.0)


def test_a_spike_hardly_slows_the_updates_after_it():
    """With the fixed limit alone, a spike leaves Adam a second moment that all but stops it."""
    distances = {}
    for clip_ratio in (10.0, math.inf):
        guard, _, variables = make(5.0, clip_ratio)
        update = step(guard, variables, compiled=False)
        for size in [0.005] * 20 + [1e4] + [0.005] * 80:  # the last 20 are watched, when the momentum is spent
            update(tf.fill([3], size), tf.fill([1, 1], size))
        start = variables[0].numpy()
        for _ in range(20):
            update(tf.fill([3], 0.005), tf.fill([1, 1], 0.005))
        distances[clip_ratio] = np.abs(variables[0].numpy() - start).mean() / (20 * 0.1)
    assert distances[10.0] > 0.5
    assert distances[math.inf] < 0.1


def test_names_of_its_variables_begin_with_the_optimizers():
    optimizer = keras.optimizers.Adam(0.1, name="generator_adam")
    assert all(variable.name.startswith("generator_adam_") for variable in GuardedUpdate(optimizer, 1.0).state)


def test_norm_of_slices_is_that_of_their_sum():
    guard, _, (variable, other) = make(clip_norm=100.0)
    slices = tf.IndexedSlices(tf.constant([3.0, 3.0]), tf.constant([1, 1]), tf.constant([3]))
    assert float(guard.apply([slices, tf.constant([[0.0]])], [variable, other])) == pytest.approx(6.0)
