"""One training step of each objective, the same for every loop; how an update is applied is the loop's affair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from loop_bench.seqgan import objectives
from loop_bench.seqgan.discriminator import Judge
from loop_bench.seqgan.generator import Generator
from loop_bench.seqgan.tracing import as_written

Apply = Callable[[Sequence[Any], Sequence[Any]], Any]
"""Changes variables by their gradients: `optimizer.apply`, or that of a `seqgan.protection.Update`."""


def existing(ids: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Ids that an embedding of `count` rows can look up.

    Given an id that does not exist, `tf.gather` raises on a CPU, gives zeros on a GPU, and under XLA takes the
    nearest row, without a word in the last two cases.

    Args:
        ids: int32 of any shape.
        count: of ids that exist: 0 to count - 1.

    Returns:
        The ids with 0 in place of those that do not exist, and whether all of them exist: scalar bool.
    """
    # int64, because TensorFlow compares int32 on the host.
    wide = tf.cast(ids, tf.int64)
    exists = (wide >= 0) & (wide < count)
    return tf.where(exists, ids, 0), tf.reduce_all(exists)


@as_written
def mle_step(
    generator: Generator, apply: Apply, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor
) -> tf.Tensor:
    """Maximum likelihood on real lines [B, T]; gives the loss before the update, in nats a token."""
    with tf.GradientTape() as tape:
        loss = objectives.mle_loss(generator(tokens, character, scene), tokens, generator.sizes.ends)
    _update(apply, tape, loss, generator.trainable_variables)
    return loss


@as_written
def discriminator_step(
    discriminator: Judge, apply: Apply, real: tf.Tensor, fake: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Real against generated lines, [B, T] each; gives loss and accuracy before the update."""
    with tf.GradientTape() as tape:
        p_real, p_fake = tf.split(discriminator(tf.concat([real, fake], axis=0)), 2)
        loss = objectives.discriminator_loss(p_real, p_fake)
    _update(apply, tape, loss, discriminator.trainable_variables)
    return loss, objectives.discriminator_accuracy(p_real, p_fake)


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
) -> tuple[tf.Tensor, tf.Tensor]:
    """REINFORCE on lines [B, T] drawn at `temperature`, which the generator reads once more.

    Rewards are of each token [B, T], the last one that of the whole line; by default the discriminator's of the line.
    Gives loss and mean reward of a line before the update.
    """
    if rewards is None:
        rewards = discriminator(sequences)[:, None]
    with tf.GradientTape() as tape:
        nll = objectives.token_nll(generator(sequences, character, scene) / temperature, sequences)
    return reinforce(generator, apply, tape, nll, sequences, rewards)


def reinforce(
    generator: Generator, apply: Apply, tape: tf.GradientTape, nll: tf.Tensor, tokens: tf.Tensor, rewards: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The update for tokens [B, T] whose -log p [B, T] `tape` has recorded; gives loss and mean reward of a line."""
    with tape:
        loss = objectives.policy_gradient_loss(nll, tokens, rewards, generator.sizes.ends)
    _update(apply, tape, loss, generator.trainable_variables)
    return loss, tf.reduce_mean(rewards[:, -1])


def _update(apply: Apply, tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[Any]) -> None:
    # Dense: an embedding's gradient comes as IndexedSlices, in which a token that occurs twice has two slices.
    # Keras 3.15's Adam squares each slice by itself, so that the second moment of such a row comes out too small.
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
    apply(gradients, variables)
