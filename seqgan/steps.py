"""Training steps of each objective, the same for every loop; the loop decides how to apply an update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from loop_bench.seqgan import objectives
from loop_bench.seqgan.discriminator import Judge
from loop_bench.seqgan.generator import Generator
from loop_bench.seqgan.part import WHOLE, Apply, Part
from loop_bench.seqgan.tracing import as_written


def existing(ids: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Replaces invalid ids, so that an embedding of `count` rows can look all of them up.

    For an invalid id, `tf.gather` raises on a CPU, returns zeros on a GPU, and takes the nearest row under XLA, the
    last two silently.

    Args:
        ids: int32 of any shape.
        count: number of valid ids: 0 to count - 1.

    Returns:
        The ids with 0 in place of invalid ones, and whether all ids are valid: scalar bool.
    """
    # int64, because TensorFlow compares int32 on the host.
    wide = tf.cast(ids, tf.int64)
    exists = (wide >= 0) & (wide < count)
    return tf.where(exists, ids, 0), tf.reduce_all(exists)


@as_written
def mle_step(
    generator: Generator, apply: Apply, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor
) -> tf.Tensor:
    """One maximum-likelihood update on real lines [B, T]; returns the loss before it, in nats per token."""
    with tf.GradientTape() as tape:
        loss = objectives.mle_loss(generator(tokens, character, scene), tokens, generator.sizes.ends)
    apply(_gradients(tape, loss, generator.trainable_variables), generator.trainable_variables)
    return loss


@as_written
def discriminator_step(
    discriminator: Judge, apply: Apply, real: tf.Tensor, fake: tf.Tensor, part: Part = WHOLE
) -> tuple[tf.Tensor, tf.Tensor]:
    """One update of the discriminator on real and generated lines [B, T]; returns loss and accuracy before it.

    With a `part` of the batch, the lines are those of the part, but loss and accuracy are those of the whole batch.
    """

    def compute() -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            p_real, p_fake = tf.split(discriminator(tf.concat([real, fake], axis=0)), 2)
            loss = _of_batch(part, objectives.discriminator_loss(p_real, p_fake))
        return _gradients(tape, loss, discriminator.trainable_variables), loss, p_real, p_fake

    gradients, loss, p_real, p_fake = part.compute(compute)
    apply(gradients, discriminator.trainable_variables)
    accuracy = _of_batch(part, objectives.discriminator_accuracy(p_real, p_fake))
    return part.total((loss, accuracy))


@as_written
def policy_gradient_step(
    generator: Generator,
    discriminator: Judge,
    apply: Apply,
    sequences: tf.Tensor,
    character: tf.Tensor,
    scene: tf.Tensor,
    temperature: tf.Tensor | float,
    rewards: tf.Tensor | None = None,
    part: Part = WHOLE,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One REINFORCE update on lines [B, T] drawn at `temperature`, which the generator reads a second time.

    Rewards [B, T] are per token, the last one that of the whole line; None: the discriminator's reward of the line.
    Returns loss and mean reward of a line before the update; for `part`, see `discriminator_step`.
    """

    def given() -> tf.Tensor:
        return discriminator(sequences)[:, None] if rewards is None else rewards

    def nll() -> tf.Tensor:
        return objectives.token_nll(generator(sequences, character, scene) / temperature, sequences)

    return reinforce(generator, apply, nll, sequences, given, part)


def reinforce(
    generator: Generator,
    apply: Apply,
    nll: Callable[[], tf.Tensor],
    tokens: tf.Tensor,
    rewards: Callable[[], tf.Tensor],
    part: Part = WHOLE,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One REINFORCE update for tokens [B, T], given functions for their -log p [B, T] and rewards [B, T] or [B, 1].

    Returns loss and mean reward of a line before the update; for `part`, see `discriminator_step`.
    """
    ends = generator.sizes.ends
    total = None
    if ends and part is not WHOLE:  # otherwise all parts have equally many tokens
        total = part.total(tf.reduce_sum(objectives.line_mask(tokens, ends)))

    def compute() -> tuple[tf.Tensor, ...]:
        given = rewards()
        with tf.GradientTape() as tape:
            loss = objectives.policy_gradient_loss(nll(), tokens, given, ends, total)
            loss = loss if total is not None else _of_batch(part, loss)
        return _gradients(tape, loss, generator.trainable_variables), loss, given

    gradients, loss, given = part.compute(compute)
    apply(gradients, generator.trainable_variables)
    return part.total((loss, _of_batch(part, tf.reduce_mean(given[:, -1]))))


def _of_batch(part: Part, mean: tf.Tensor) -> tf.Tensor:
    """Contribution of a mean over a part's lines to the mean over the batch."""
    return mean if part is WHOLE else mean * part.share


def _gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[Any]) -> list[tf.Tensor]:
    # Dense, because an embedding's gradient is IndexedSlices, in which a token that occurs twice has two slices, and
    # Keras 3.15's Adam squares each slice separately, which makes the second moment of such a row too small.
    return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
