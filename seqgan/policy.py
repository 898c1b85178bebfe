"""The generator's part of a batch: drawing lines, and learning from them after the discriminator."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from loop_bench.seqgan import sampled_pass, steps
from loop_bench.seqgan.discriminator import Judge
from loop_bench.seqgan.generator import Generator
from loop_bench.seqgan.part import Apply, Part
from loop_bench.seqgan.sampler import Sampler

Metrics = tuple[tf.Tensor, tf.Tensor]
"""Loss and mean reward of a line, before the update."""


class Policy(Protocol):
    """A way to draw lines and learn from them.

    The methods take character and scene [B] int32, a scalar temperature, and the number of the draw.
    """

    def draw(self, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor) -> Any:
        """Draws lines, with `tokens` [B, T] int32; the same `draw` gives the same lines."""

    def learn(
        self, lines: Any, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> Metrics:
        """One update from the lines that the method `draw` returned for the same arguments."""


class Steps(Protocol):
    """Graphs of a loop by their public names; each is looked up when it is called, so that it can be replaced."""

    generate_fake_samples: Callable[..., tf.Tensor]
    train_generator_adversarial: Callable[..., Metrics]
    rollout_rewards: Callable[..., tf.Tensor]


class Lines(NamedTuple):
    """Lines without intermediate results, which the generator reads again to learn from them."""

    tokens: tf.Tensor  # [B, T] int32


class SecondPass:
    """Learns from a second pass, in which the generator reads its lines again.

    Args:
        steps: graphs of the loop.
        rollouts: whether rewards come from rollouts; if not, they are the rewards of whole lines.
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
    """Learns from the pass in which the lines were drawn, without reading them a second time.

    Args:
        generator: draws lines and learns from them.
        judge: computes the rewards.
        sampler: draws tokens.
        seed: seed of the run, scalar int32.
        apply: updates the generator's weights.
        part: the replica's part of each batch.
        batch: number of lines drawn at a time if XLA compiles this for a CPU, else None. The weights of their tokens
            then have a permanent buffer. A new buffer for each batch, at preset `paper` 26 MB or 6250 pages, would be
            returned to the system each time, and be allocated and filled with zeros again.
    """

    def __init__(
        self,
        generator: Generator,
        judge: Judge,
        sampler: Sampler,
        seed: tf.Tensor,
        apply: Apply,
        part: Part,
        batch: int | None = None,
    ) -> None:
        self._generator = generator
        self._judge = judge
        self._sampler = sampler
        self._seed = seed
        self._apply = apply
        self._part = part
        self._buffer = None
        if batch is not None:
            shape = [generator.length, batch, generator.sizes.vocabulary]
            self._buffer = tf.Variable(tf.zeros(shape), trainable=False, name="token_weights")

    def draw(
        self, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> sampled_pass.Drawn:
        """See `Policy`."""
        return self._part.compute(lambda: self._draw(character, scene, temperature, draw))

    def learn(
        self,
        lines: sampled_pass.Drawn,
        character: tf.Tensor,
        scene: tf.Tensor,
        temperature: tf.Tensor,
        draw: tf.Tensor,
    ) -> Metrics:
        """See `Policy`; an update for an invalid character or scene is skipped, if the protection can skip updates."""
        del temperature, draw  # used by the pass that drew the lines
        sizes = self._generator.sizes
        exist = steps.existing(character, sizes.characters)[1] & steps.existing(scene, sizes.scenes)[1]
        return steps.reinforce(
            self._generator,
            functools.partial(self._apply, allowed=exist),
            lambda: sampled_pass.nll(self._generator, lines),
            lines.tokens,
            lambda: self._judge(lines.tokens)[:, None],
            self._part,
        )

    def _draw(
        self, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> sampled_pass.Drawn:
        sizes = self._generator.sizes
        who, where = steps.existing(character, sizes.characters)[0], steps.existing(scene, sizes.scenes)[0]
        return sampled_pass.draw(
            self._generator, self._sampler, who, where, temperature, self._seed, draw, self._buffer
        )
