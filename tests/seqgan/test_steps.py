import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan import steps
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.steps import existing


def test_gradients_are_dense_and_repeated_tokens_count_together(tiny, lines):
    networks = Networks(tiny, lines.sizes)
    same = tf.fill([4, tiny.sequence_length], 7)  # one token, 40 times
    seen = []
    steps.discriminator_step(networks.discriminator, lambda gradients, _: seen.extend(gradients), same, same)
    embedding = networks.discriminator.trainable_variables[0]
    assert seen[0].shape == embedding.shape
    assert set(np.flatnonzero(np.any(seen[0].numpy() != 0, axis=1))) <= {7}


def test_metrics_are_those_before_the_update(tiny, lines):
    networks = Networks(tiny, lines.sizes)
    tokens, fake = tf.constant(lines.tokens[:16]), tf.constant(lines.tokens[16:32])
    first, _ = steps.discriminator_step(networks.discriminator, networks.d_optimizer.apply, tokens, fake)
    second, _ = steps.discriminator_step(networks.discriminator, lambda *_: None, tokens, fake)
    third, _ = steps.discriminator_step(networks.discriminator, lambda *_: None, tokens, fake)
    assert float(first) != float(second) == float(third)


def test_rewards_are_constants(tiny, lines):
    """The policy gradient must not reach into the discriminator, nor change it."""
    networks = Networks(tiny, lines.sizes)
    before = [weight.numpy() for weight in networks.discriminator.trainable_variables]
    who, where = tf.constant(lines.character[:16]), tf.constant(lines.scene[:16])
    _, reward = steps.policy_gradient_step(
        networks.generator, networks.discriminator, networks.g_optimizer.apply, lines.tokens[:16], who, where, 1.0
    )
    assert float(reward) == np.float32(np.mean(networks.discriminator(lines.tokens[:16])))
    for old, weight in zip(before, networks.discriminator.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(
    ("ids", "seen", "exist"),
    [
        ([[0, 4], [2, 3]], [[0, 4], [2, 3]], True),
        ([[0, 5], [2, 3]], [[0, 0], [2, 3]], False),
        ([[1, 4], [-1, 3]], [[1, 4], [0, 3]], False),
        ([[2**31 - 1, 1], [-(2**31), 3]], [[0, 1], [0, 3]], False),
    ],
)
def test_invalid_ids_become_0_and_are_reported(ids, seen, exist, compiled):
    found, all_exist = tf.function(lambda given: existing(given, 5), jit_compile=compiled)(tf.constant(ids))
    np.testing.assert_array_equal(found.numpy(), seen)
    assert found.dtype == tf.int32
    assert bool(all_exist) == exist
