"""What each network is trained towards; pure functions of what the networks say."""

from __future__ import annotations

import tensorflow as tf

from loop_bench.seqgan.vocabulary import END

_EPSILON = 1e-7  # keeps the logarithm of a saturated probability finite, as Keras does


def line_mask(tokens: tf.Tensor, ends: bool) -> tf.Tensor:
    """1.0 at each token [B, T] up to and with END, 0.0 behind it; all ones where lines do not end."""
    if not ends:
        return tf.ones(tokens.shape, tf.float32)
    ended = tf.cumsum(tf.cast(tokens == END, tf.int32), axis=1, exclusive=True)
    return tf.cast(ended == 0, tf.float32)


def token_nll(logits: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """-log p of each token, [B, T] float32, from logits [B, T, V]."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits)


def mle_loss(logits: tf.Tensor, tokens: tf.Tensor, ends: bool) -> tf.Tensor:
    """Mean negative log-likelihood a token, in nats: scalar float32."""
    mask = line_mask(tokens, ends)
    return tf.reduce_sum(token_nll(logits, tokens) * mask) / tf.reduce_sum(mask)


def policy_gradient_loss(
    nll: tf.Tensor, tokens: tf.Tensor, rewards: tf.Tensor, ends: bool, total: tf.Tensor | None = None
) -> tf.Tensor:
    """REINFORCE (Williams, 1992), as in SeqGAN.

    The log-probabilities must be of softmax(logits / temperature), the policy that the tokens were drawn from;
    at temperature 1 they would make the gradient that of another policy.

    Args:
        nll: [B, T] float32, -log p of each token.
        tokens: [B, T] int32.
        rewards: constants, [B, T] float32 of each token, or [B, 1] of the whole line, as SeqGAN without rollouts.
        ends: whether lines end before T.
        total: scalar float32, tokens that the mean is over where these lines are not all of them; by default theirs.

    Returns:
        scalar float32, the mean over tokens of -log p(token) x reward.
    """
    mask = line_mask(tokens, ends)
    weighted = nll * mask * rewards
    return tf.reduce_sum(weighted) / (tf.reduce_sum(mask) if total is None else total)


def discriminator_loss(p_real: tf.Tensor, p_fake: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of p(real) [B] for real and for generated lines: scalar float32."""
    real = tf.math.log(tf.maximum(p_real, _EPSILON))
    fake = tf.math.log(tf.maximum(1.0 - p_fake, _EPSILON))
    return -0.5 * (tf.reduce_mean(real) + tf.reduce_mean(fake))


def discriminator_accuracy(p_real: tf.Tensor, p_fake: tf.Tensor) -> tf.Tensor:
    """Share of lines on the right side of 0.5: scalar float32."""
    right_real = tf.reduce_mean(tf.cast(p_real > 0.5, tf.float32))
    right_fake = tf.reduce_mean(tf.cast(p_fake <= 0.5, tf.float32))
    return 0.5 * (right_real + right_fake)
