"""One training step of each objective, the same for every loop; how an update is applied is the loop's affair."""

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
    apply(_gradients(tape, loss, generator.trainable_variables), generator.trainable_variables)
    return loss


@as_written
def discriminator_step(
    discriminator: Judge, apply: Apply, real: tf.Tensor, fake: tf.Tensor, part: Part = WHOLE
) -> tuple[tf.Tensor, tf.Tensor]:
    """Real against generated lines, [B, T] each; gives loss and accuracy before the update.

    With a `part` of the batch, lines are those of the part, and loss and accuracy those of the batch.
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
    """REINFORCE on lines [B, T] drawn at `temperature`, which the generator reads once more.

    Rewards are of each token [B, T], the last one that of the whole line; by default the discriminator's of the line.
    Gives loss and mean reward of a line before the update; with a `part`, as `discriminator_step`.
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
    """The update for tokens [B, T], given their -log p [B, T] and rewards [B, T] or [B, 1] when they are asked for.

    Gives loss and mean reward of a line; with a `part`, as `discriminator_step`.
    """
    ends = generator.sizes.ends
    total = None
    if ends and part is not WHOLE:  # else every part has as many tokens
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
    """What the mean over a part's lines adds to the mean over the batch."""
    return mean if part is WHOLE else mean * part.share


def _gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[Any]) -> list[tf.Tensor]:
    # Dense: an embedding's gradient comes as IndexedSlices, in which a token that occurs twice has two slices.
    # Keras 3.15's Adam squares each slice by itself, so that the second moment of such a row comes out too small.
    return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
