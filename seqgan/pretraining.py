"""Training before the networks meet: each towards its own target; the same for both loops."""

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
    """Networks as adversarial training finds them: maximum likelihood first, then the discriminator (Yu et al., 2017).

    A function of config and data alone: whichever loop goes on from there, it begins with the same weights.

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
    """Maximum likelihood for the generator, real against generated lines for the discriminator.

    Metrics stay on the device for an epoch and are read at once. Updates are guarded, whatever protection the
    config asks of the optimised loop: it is not what the two loops differ in.
    """

    def __init__(self, config: Config, data: Dataset, networks: Networks) -> None:
        self._config = config
        self._data = data
        self._networks = networks
        self._seed = tf.constant((config.seed + 1) & 0x7FFFFFFF)  # an input of the graph, as the loops' seeds are
        limits = config.clip_norm, config.clip_ratio
        self._mle_update = GuardedUpdate(networks.mle_optimizer, *limits)
        # A name of its own, for the loop's guard of the same optimizer is in the same checkpoint.
        self._d_update = GuardedUpdate(networks.d_optimizer, *limits, f"{networks.d_optimizer.name}_pretraining")
        how: dict[str, bool] = {"jit_compile": config.jit_compile, "autograph": False}
        self._generator_batch = tf.function(self._train_generator, **how)
        self._discriminator_batch = tf.function(self._train_discriminator, **how)
        self._generate = tf.function(self._generate_lines, **how)

    @property
    def variables(self) -> list[Any]:
        """The state of the guards, for a checkpoint."""
        return [*self._mle_update.state, *self._d_update.state]

    def generator_epoch(self, epoch: int, on_batch: Callable[[], None] = lambda: None) -> dict[str, np.ndarray]:
        """One epoch of maximum likelihood.

        Args:
            epoch: from 0; chooses the order of the lines.
            on_batch: called when a batch has been handed to the device, for a progress display.

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
        """One epoch of the discriminator against the generator as it is.

        Takes and raises what `generator_epoch` does; gives `d_loss` and `d_accuracy`, [batches] float32 each.
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
        """Looks at the counter of skips in a row at the end of an epoch; reads the device."""
        length = int(update.consecutive)
        if length >= self._config.max_consecutive_skips:
            after = (epoch + 1) * self._data.batches_per_epoch(self._config.batch_size)
            raise guard.too_many_skips(network, length, after - length, after - 1, self._networks.weights)

    def _batches(self, epoch: int) -> tf.data.Dataset:
        data = self._data
        # Orders of their own, so that adversarial training does not start with batches just seen.
        order = data.epoch_order(self._config.batch_size, self._config.seed + 1, epoch)
        lines = (data.tokens[order], data.character[order], data.scene[order])
        return tf.data.Dataset.from_tensor_slices(lines).prefetch(tf.data.AUTOTUNE)

    def _train_generator(self, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor) -> tf.Tensor:
        return steps.mle_step(self._networks.generator, self._mle_update.apply, tokens, character, scene)

    def _generate_lines(self, character: tf.Tensor, scene: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        # At temperature 1: what the generator itself holds to be likely. A seed of its own, as for the order.
        return self._networks.generator.sample(
            sampler.inverse_cdf, character, scene, tf.constant(1.0), self._seed, draw
        )

    def _train_discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return steps.discriminator_step(self._networks.discriminator, self._d_update.apply, real, fake)
