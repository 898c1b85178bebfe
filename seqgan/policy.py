"""The generator's part of a batch: it draws lines, and learns from them once the discriminator has."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from seqgan import sampled_pass, steps
from seqgan.networks import Networks
from seqgan.protection import Update
from seqgan.sampler import Sampler

Metrics = tuple[tf.Tensor, tf.Tensor]
"""Loss and mean reward of a line, before the update."""


class Policy(Protocol):
    """One way to do it. Arguments: character and scene [B] int32, temperature a scalar, and the number of the draw."""

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
    """Nothing but the lines."""

    tokens: tf.Tensor  # [B, T] int32


class SecondPass:
    """The generator reads the lines again to learn from them.

    Args:
        steps: of the loop.
        rollouts: whether the rewards are the rollouts', or those of whole lines.
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
    """The generator learns from the pass in which it has drawn the lines; see `seqgan.sampled_pass`.

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

    def draw(
        self, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> sampled_pass.SampledLines:
        """See `Policy`."""
        sizes = self._generator.sizes
        who, where = steps.existing(character, sizes.characters)[0], steps.existing(scene, sizes.scenes)[0]
        return sampled_pass.sample(self._generator, self._sampler, who, where, temperature, self._seed, draw)

    def learn(
        self,
        lines: sampled_pass.SampledLines,
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
