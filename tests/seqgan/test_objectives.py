import numpy as np
import pytest
import tensorflow as tf

from loop_bench.seqgan import objectives
from loop_bench.seqgan.vocabulary import END, PAD

TOKENS = np.array([[4, 3, END, PAD], [3, 3, 4, 4], [END, PAD, PAD, PAD]], np.int32)
MASK = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]], np.float32)
LOGITS = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
REWARDS = np.array([0.2, 0.9, 0.5], np.float32)


def nll(logits):
    """-log p of TOKENS, by the definition, in float64."""
    logits = logits.astype(float)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.take_along_axis(log_p, TOKENS[..., None], -1)[..., 0]


def test_mask_goes_up_to_the_end():
    np.testing.assert_array_equal(objectives.line_mask(tf.constant(TOKENS), ends=True), MASK)
    np.testing.assert_array_equal(objectives.line_mask(tf.constant(TOKENS), ends=False), np.ones_like(MASK))


def test_mle_loss_is_the_mean_over_tokens():
    expected = (nll(LOGITS) * MASK).sum() / MASK.sum()
    assert float(objectives.mle_loss(LOGITS, TOKENS, ends=True)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_policy_gradient_is_of_the_policy_that_was_drawn_from(temperature):
    given = objectives.token_nll(LOGITS / temperature, TOKENS)
    loss = objectives.policy_gradient_loss(given, TOKENS, REWARDS[:, None], ends=True)
    expected = (nll(LOGITS / temperature) * MASK * REWARDS[:, None]).sum() / MASK.sum()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_each_token_may_have_a_reward_of_its_own():
    rewards = np.random.default_rng(1).random(TOKENS.shape).astype(np.float32)
    loss = objectives.policy_gradient_loss(objectives.token_nll(LOGITS, TOKENS), TOKENS, rewards, ends=True)
    assert float(loss) == pytest.approx((nll(LOGITS) * MASK * rewards).sum() / MASK.sum(), rel=1e-5)


def test_no_gradient_for_what_follows_the_end():
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = objectives.policy_gradient_loss(
            objectives.token_nll(logits, TOKENS), TOKENS, REWARDS[:, None], ends=True
        )
    moved = np.any(tape.gradient(loss, logits).numpy() != 0, axis=-1)
    np.testing.assert_array_equal(moved, MASK == 1)


def test_discriminator_loss_and_accuracy():
    real, fake = np.array([0.9, 0.4], np.float32), np.array([0.2, 0.5], np.float32)
    expected = -np.mean([*np.log(real.astype(float)), *np.log1p(-fake.astype(float))])
    assert float(objectives.discriminator_loss(real, fake)) == pytest.approx(expected, rel=1e-6)
    assert float(objectives.discriminator_accuracy(real, fake)) == 0.75


def test_saturated_probabilities_keep_the_loss_finite():
    assert np.isfinite(objectives.discriminator_loss(tf.constant([0.0]), tf.constant([1.0])))


def test_parts_of_a_batch_add_up_to_the_mean_over_its_tokens():
    given = objectives.token_nll(LOGITS, TOKENS)
    parts = [
        objectives.policy_gradient_loss(given[rows], TOKENS[rows], REWARDS[rows, None], True, tf.constant(MASK.sum()))
        for rows in (slice(0, 1), slice(1, 3))
    ]
    whole = objectives.policy_gradient_loss(given, TOKENS, REWARDS[:, None], ends=True)
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-6)
