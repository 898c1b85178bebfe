"""Pre-training of each network by its own objective; the same for both loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from loop_bench.seqgan import guard, sampler, steps
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.dataset import Dataset
from loop_bench.seqgan.guard import GuardedUpdate
from loop_bench.seqgan.networks import Networks


def pretrained(config: Config, data: Dataset) -> Networks:
    """Makes pre-trained networks: first the generator by maximum likelihood, then the discriminator (Yu et al., 2017).

    Depends only on config and data, so that both loops start adversarial training with the same weights.

    Raises:
        NonFiniteUpdatesError: as `Pretraining.generator_epoch`.
    """
    networks = Networks(config, data.sizes)
    training = Pretraining(config, data, networks)
    for epoch in range(config.mle_epochs):
        training.generator_epoch(epoch)
    for epoch in range(config.d_epochs):
        training.discriminator_epoch(epoch)
    return networks


class Pretraining:
    """Trains the generator by maximum likelihood, and the discriminator on real and generated lines.

    Metrics stay on the device during an epoch and are read at its end. Updates are always guarded, whatever protection
    the config has for the optimised loop, because pre-training is the same for both loops.
    """

    def __init__(self, config: Config, data: Dataset, networks: Networks) -> None:
        self._config = config
        self._data = data
        self._networks = networks
        self._seed = tf.constant((config.seed + 1) & 0x7FFFFFFF)  # an input of the graph, as in the loops
        limits = config.clip_norm, config.clip_ratio
        self._mle_update = GuardedUpdate(networks.mle_optimizer, *limits)
        # Named differently from the loop's guard of the same optimizer, which is in the same checkpoint.
        self._d_update = GuardedUpdate(networks.d_optimizer, *limits, f"{networks.d_optimizer.name}_pretraining")
        how: dict[str, bool] = {"jit_compile": config.jit_compile, "autograph": False}
        self._generator_batch = tf.function(self._train_generator, **how)
        self._discriminator_batch = tf.function(self._train_discriminator, **how)
        self._generate = tf.function(self._generate_lines, **how)

    @property
    def variables(self) -> list[Any]:
        """State of the guards, for a checkpoint."""
        return [*self._mle_update.state, *self._d_update.state]

    def generator_epoch(self, epoch: int, on_batch: Callable[[], None] = lambda: None) -> dict[str, np.ndarray]:
        """Trains the generator for one epoch by maximum likelihood.

        Args:
            epoch: number of the epoch, from 0; determines the order of the lines.
            on_batch: called when a batch has been queued on the device, for a progress display.

        Returns:
            `mle_loss` of each batch in nats a token, [batches] float32.

        Raises:
            NonFiniteUpdatesError: at least the last `max_consecutive_skips` updates were skipped.
        """
        losses = []
        for batch in self._batches(epoch):
            losses.append(self._generator_batch(*batch))
            on_batch()
        history = {"mle_loss": tf.stack(losses).numpy()}
        self._raise_when_stuck(self._mle_update, "generator", epoch)
        return history

    def discriminator_epoch(self, epoch: int, on_batch: Callable[[], None] = lambda: None) -> dict[str, np.ndarray]:
        """Trains the discriminator for one epoch against the unchanged generator.

        Has the arguments and errors of `generator_epoch`; returns `d_loss` and `d_accuracy`, [batches] float32 each.
        """
        first = epoch * self._data.batches_per_epoch(self._config.batch_size)
        metrics = []
        for draw, (real, character, scene) in enumerate(self._batches(epoch), start=first):
            fake = self._generate(character, scene, tf.constant(draw))
            metrics.append(tf.stack(self._discriminator_batch(real, fake)))
            on_batch()
        loss, accuracy = tf.stack(metrics, axis=1).numpy()
        self._raise_when_stuck(self._d_update, "discriminator", epoch)
        return {"d_loss": loss, "d_accuracy": accuracy}

    def _raise_when_stuck(self, update: GuardedUpdate, network: str, epoch: int) -> None:
        """Raises an error at the end of an epoch if too many updates in a row were skipped; reads the device."""
        length = int(update.consecutive)
        if length >= self._config.max_consecutive_skips:
            after = (epoch + 1) * self._data.batches_per_epoch(self._config.batch_size)
            raise guard.too_many_skips(network, length, after - length, after - 1, self._networks.weights)

    def _batches(self, epoch: int) -> tf.data.Dataset:
        data = self._data
        # Another seed than the loops', so that adversarial training does not start with the same batches.
        order = data.epoch_order(self._config.batch_size, self._config.seed + 1, epoch)
        lines = (data.tokens[order], data.character[order], data.scene[order])
        return tf.data.Dataset.from_tensor_slices(lines).prefetch(tf.data.AUTOTUNE)

    def _train_generator(self, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor) -> tf.Tensor:
        return steps.mle_step(self._networks.generator, self._mle_update.apply, tokens, character, scene)

    def _generate_lines(self, character: tf.Tensor, scene: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        # At temperature 1, the generator's own distribution; with another seed than the loops', as for the order.
        return self._networks.generator.sample(
            sampler.inverse_cdf, character, scene, tf.constant(1.0), self._seed, draw
        )

    def _train_discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return steps.discriminator_step(self._networks.discriminator, self._d_update.apply, real, fake)
