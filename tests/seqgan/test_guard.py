import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgan.errors import NonFiniteUpdatesError
from seqgan.guard import GuardedUpdate

BAD = {
    "nan": [np.nan, 1.0, 1.0],
    "inf": [np.inf, 1.0, 1.0],
    "-inf": [1.0, 1.0, -np.inf],
    "squares overflow": [1e20, 1.0, 1.0],
}


def make(clip_norm=1.0):
    variables = [keras.Variable([1.0, 2.0, 3.0], name="a"), keras.Variable([[4.0]], name="b")]
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(variables)
    return GuardedUpdate(optimizer, clip_norm), optimizer, variables


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
    state = [*variables, *optimizer.variables]
    before = bits(state)
    norm = update(tf.constant(BAD[kind]), tf.constant([[0.5]]))
    assert not np.isfinite(norm)
    assert bits(state) == before
    assert (int(guard.consecutive), int(guard.total)) == (1, 1)


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


def test_norm_of_slices_is_that_of_their_sum():
    guard, _, (variable, other) = make(clip_norm=100.0)
    slices = tf.IndexedSlices(tf.constant([3.0, 3.0]), tf.constant([1, 1]), tf.constant([3]))
    assert float(guard.apply([slices, tf.constant([[0.0]])], [variable, other])) == pytest.approx(6.0)


def test_raises_only_at_the_limit():
    guard, _, variables = make()
    bad = [tf.constant(BAD["inf"]), tf.constant([[0.1]])]
    guard.apply(bad, variables)
    guard.raise_when_stuck(2)
    guard.apply(bad, variables)
    with pytest.raises(NonFiniteUpdatesError, match="the last 2 gradients were not finite"):
        guard.raise_when_stuck(2)
