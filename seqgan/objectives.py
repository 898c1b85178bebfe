"""Losses and accuracy of the networks, as pure functions of the networks' outputs."""

from __future__ import annotations

import tensorflow as tf

from loop_bench.seqgan.vocabulary import END

_EPSILON = 1e-7  # keeps the logarithm of a saturated probability finite, as Keras does


def line_mask(tokens: tf.Tensor, ends: bool) -> tf.Tensor:
    """Mask [B, T] float32 of tokens [B, T]: 1.0 up to and including END, then 0.0; all 1.0 if lines do not end."""
    if not ends:
        return tf.ones(tokens.shape, tf.float32)
    ended = tf.cumsum(tf.cast(tokens == END, tf.int32), axis=1, exclusive=True)
    return tf.cast(ended == 0, tf.float32)


def token_nll(logits: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood of each token, [B, T] float32, from logits [B, T, V]."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits)


def mle_loss(logits: tf.Tensor, tokens: tf.Tensor, ends: bool) -> tf.Tensor:
    """Mean negative log-likelihood in nats per token: scalar float32."""
    mask = line_mask(tokens, ends)
    return tf.reduce_sum(token_nll(logits, tokens) * mask) / tf.reduce_sum(mask)


def policy_gradient_loss(
    nll: tf.Tensor, tokens: tf.Tensor, rewards: tf.Tensor, ends: bool, total: tf.Tensor | None = None
) -> tf.Tensor:
    """Policy-gradient loss: REINFORCE (Williams, 1992), as in SeqGAN.

    The log-probabilities must be those of softmax(logits / temperature), the policy that the tokens were drawn from;
    at another temperature the gradient would be that of another policy.

    Args:
        nll: [B, T] float32, -log p of each token.
        tokens: [B, T] int32.
        rewards: constants, [B, T] float32 for each token, or [B, 1] for the whole line, as in SeqGAN without rollouts.
        ends: whether lines may end before T.
        total: scalar float32, number of tokens to divide by, if these are not all lines of the batch; None: the
            number of tokens of these lines.

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
    """Share of lines that are classified correctly, with a threshold of 0.5: scalar float32."""
    right_real = tf.reduce_mean(tf.cast(p_real > 0.5, tf.float32))
    right_fake = tf.reduce_mean(tf.cast(p_fake <= 0.5, tf.float32))
    return 0.5 * (right_real + right_fake)
