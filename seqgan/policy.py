"""The generator's part of a batch: it draws lines, and learns from them once the discriminator has."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from seqgan import steps
from seqgan.generator import Generator
from seqgan.networks import Networks
from seqgan.protection import Update
from seqgan.sampler import Sampler, draw_seed, relative_weights

Metrics = tuple[tf.Tensor, tf.Tensor]
"""Loss and mean reward of a line, before the update."""


class Policy(Protocol):
    """One way to draw lines and learn from them.

    Arguments: character and scene [B] int32, temperature a scalar, and the number of the draw.
    """

    def draw(self, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor) -> Any:
        """Lines, with `tokens` [B, T] int32; the same `draw`, the same lines."""

    def learn(
        self, lines: Any, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> Metrics:
        """One update by what `draw` gave for the same arguments."""


class Steps(Protocol):
    """The graphs of a loop by the names that its users know; each is looked up when it is called."""

    generate_fake_samples: Callable[..., tf.Tensor]
    train_generator_adversarial: Callable[..., Metrics]
    rollout_rewards: Callable[..., tf.Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class Lines:
    """Lines without anything to learn from: the generator reads them again."""

    tokens: tf.Tensor  # [B, T] int32


class SecondPass:
    """Learning from a second pass, in which the generator reads its lines again.

    Args:
        steps: the graphs of the loop.
        rollouts: whether rewards come from rollouts; otherwise they are those of whole lines.
    """

    def __init__(self, steps: Steps, rollouts: bool) -> None:
        self._steps = steps
        self._rollouts = rollouts

    def draw(self, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor) -> Lines:
        """See `Policy`."""
        return Lines(self._steps.generate_fake_samples(character, scene, temperature, draw))

    def learn(
        self, lines: Lines, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> Metrics:
        """See `Policy`."""
        known = (lines.tokens, character, scene, temperature)
        if not self._rollouts:
            return self._steps.train_generator_adversarial(*known)
        return self._steps.train_generator_adversarial(*known, self._steps.rollout_rewards(*known, draw))


class SampledPass:
    """Learning from the very pass in which the lines were drawn, without reading them a second time.

    While a line is drawn, the generator computes all that its policy gradient needs: the hidden states, and every
    token's probability. Both are kept. The gradient of the output layer is then two matrix products over what was
    kept, and the recurrent part is differentiated through the loop over time.

    Args:
        networks: both are needed.
        sampler: draws tokens.
        seed: of the run, scalar int32.
        update: of the generator's weights.
    """

    def __init__(self, networks: Networks, sampler: Sampler, seed: tf.Tensor, update: Update) -> None:
        self._generator = networks.generator
        self._discriminator = networks.discriminator
        self._sampler = sampler
        self._seed = seed
        self._update = update

    def draw(self, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor) -> SampledLines:
        """See `Policy`."""
        sizes = self._generator.sizes
        who, where = steps.existing(character, sizes.characters)[0], steps.existing(scene, sizes.scenes)[0]
        return sample_on_tape(self._generator, self._sampler, who, where, temperature, self._seed, draw)

    def learn(
        self,
        lines: SampledLines,
        character: tf.Tensor,
        scene: tf.Tensor,
        temperature: tf.Tensor,
        draw: tf.Tensor,
    ) -> Metrics:
        """See `Policy`; an update for a character or scene that does not exist is skipped, if its protection can."""
        del temperature, draw  # of the pass, which is over
        sizes = self._generator.sizes
        exist = steps.existing(character, sizes.characters)[1] & steps.existing(scene, sizes.scenes)[1]
        apply = functools.partial(self._update.apply, allowed=exist)
        rewards = self._discriminator(lines.tokens)[:, None]
        return steps.reinforce(self._generator, apply, lines.tape, lines.nll, lines.tokens, rewards)


@dataclasses.dataclass(frozen=True, eq=False)
class SampledLines:
    """Lines whose -log p can be differentiated.

    Attributes:
        tokens: [B, T] int32.
        nll: [B, T] float32, -log p of each token under the policy that it was drawn from.
        tape: has recorded how `nll` comes from the generator's weights.
    """

    tokens: tf.Tensor
    nll: tf.Tensor
    tape: tf.GradientTape


def sample_on_tape(
    generator: Generator,
    sampler: Sampler,
    character: tf.Tensor,
    scene: tf.Tensor,
    temperature: tf.Tensor,
    seed: int | tf.Tensor,
    draw: tf.Tensor,
) -> SampledLines:
    """The lines of `Generator.sample`, which takes the same arguments, with the way back to the weights on a tape."""
    first = tf.cast(draw, tf.int32) * generator.length
    layer, vocabulary = generator.output_layer, generator.sizes.vocabulary

    def choose(time: tf.Tensor, hidden: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        # Through the logits no gradient goes back from here: `_nll` has its own, for all moments at once.
        logits = generator.logits(tf.stop_gradient(hidden)) / temperature
        token = sampler(logits, draw_seed(seed, first + time))
        above = tf.reduce_max(logits, axis=-1) - tf.gather(logits, token, batch_dims=1)
        return token, (hidden, tf.stop_gradient(relative_weights(logits)), tf.stop_gradient(above))

    with tf.GradientTape() as tape:
        shapes: list[list[int]] = [[generator.cell.units], [vocabulary], []]
        tokens, (hidden, weights, above) = generator.unfold(choose, character, scene, shapes)
        by_time = tf.transpose(tokens)  # [T, B], as what was kept
        drawn = _Drawn(
            tokens=tf.reshape(by_time, [-1]),
            weights=tf.reshape(tf.stop_gradient(weights), [-1, vocabulary]),
            above=tf.reshape(tf.stop_gradient(above), [-1]),
            temperature=temperature,
        )
        nll = _nll(tf.reshape(hidden, [-1, generator.cell.units]), layer.kernel, layer.bias, drawn)
        nll = tf.transpose(tf.reshape(nll, tf.shape(by_time)))
    return SampledLines(tokens, nll, tape)


@dataclasses.dataclass(frozen=True, eq=False)
class _Drawn:
    """What is known of each token that was drawn; N is T x B.

    Attributes:
        tokens: [N] int32.
        weights: [N, V] float32, exp(logit - largest logit) of every token there might have been.
        above: [N] float32, by how much the largest logit lies above that of the token.
        temperature: scalar float32, by which the logits were divided.
    """

    tokens: tf.Tensor
    weights: tf.Tensor
    above: tf.Tensor
    temperature: tf.Tensor


def _nll(hidden: tf.Tensor, kernel: Any, bias: Any, drawn: _Drawn) -> tf.Tensor:
    """-log p [N] of what was drawn from softmax((hidden @ kernel + bias) / temperature).

    It has the gradient of the usual cross entropy, p - onehot, without ever holding it: with c the gradient of each
    -log p, s the sum of the weights and e the weights, hidden gets c/s (e Wᵀ) - c W[token], and the layer gets
    (c/s [h, 1])ᵀ e less c [h, 1] added up by token. So the large array e is read by two matrix products, and no
    other of its size is written.

    Args:
        hidden: [N, H] float32.
        kernel: W, [H, V].
        bias: [V].
        drawn: constants.
    """
    size = hidden.shape[-1]
    count, vocabulary = drawn.weights.shape

    @tf.custom_gradient
    def nll(hidden: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Any]:
        del bias  # in the weights
        # One product for e Wᵀ and for s.
        mixed = tf.matmul(drawn.weights, tf.concat([kernel, tf.ones([1, vocabulary])], axis=0), transpose_b=True)
        total = mixed[:, size]

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            each = (upstream / drawn.temperature)[:, None]
            share = each / total[:, None]
            to_hidden = share * mixed[:, :size] - each * tf.gather(tf.transpose(kernel), drawn.tokens)
            extended = tf.concat([hidden, tf.ones([count, 1])], axis=1)
            chosen = tf.math.unsorted_segment_sum(each * extended, drawn.tokens, vocabulary)
            to_layer = tf.matmul(share * extended, drawn.weights, transpose_a=True) - tf.transpose(chosen)
            return to_hidden, to_layer[:size], to_layer[size]

        return tf.math.log(total) + drawn.above, gradient

    return nll(hidden, tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias))
