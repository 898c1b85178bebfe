import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan.generator import Generator
from loop_bench.seqgan.recurrence import Recurrence
from loop_bench.seqgan.vocabulary import Sizes

LENGTH, BATCH = 5, 3


@pytest.fixture
def generator(tiny):
    made = Generator(tiny, Sizes(53, 3, 4, ends=False), seed=1)
    for variable in made.trainable_variables:  # large enough for the gates to open and close
        variable.assign(variable + 0.5 * np.random.default_rng(variable.shape[0]).normal(size=variable.shape))
    return made


@pytest.fixture
def tokens():
    return tf.constant(np.random.default_rng(0).integers(0, 53, (LENGTH, BATCH)), tf.int32)


def condition(generator):
    return generator.condition(tf.constant([0, 1, 2]), tf.constant([3, 0, 1]))


def test_a_step_is_that_of_the_generator(generator, tokens):
    state = tuple(tf.random.stateless_normal([BATCH, generator.cell.units], [0, n]) for n in range(2))
    given = condition(generator)
    hidden, carry = Recurrence.of(generator, given).advance(generator.token_embedding(tokens[0]), *state)
    _, (expected_hidden, expected_carry) = generator.advance(tokens[0], given, state)
    np.testing.assert_allclose(hidden, expected_hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(carry, expected_carry, rtol=1e-5, atol=1e-6)


def test_the_gradients_are_those_of_a_tape(generator, tokens):
    recurrence = Recurrence.of(generator, condition(generator))
    embedded = generator.token_embedding(tokens)
    upstream = tf.random.stateless_normal([LENGTH, BATCH, generator.cell.units], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch([embedded, *recurrence])
        hidden = carry = tf.zeros([BATCH, generator.cell.units])
        states = []
        for step in tf.unstack(embedded):
            hidden, carry = recurrence.advance(step, hidden, carry)
            states.append((hidden, carry))
        total = tf.add_n(
            [tf.reduce_sum(one * some) for (one, _), some in zip(states, tf.unstack(upstream), strict=True)]
        )
    to_embedded, to_kernel, to_constant = tape.gradient(total, [embedded, *recurrence])
    hidden, carry = (tf.stack(each) for each in zip(*states, strict=True))
    found = recurrence.backward(embedded, hidden, carry, upstream)
    size = embedded.shape[-1]
    for one, other in zip(found, (to_embedded, to_constant, to_kernel[:size], to_kernel[size:]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
