"""Baseline training loop: plain, with each part of a batch in a graph, and reading its metrics after every batch.

Written once, as a competent first version, and then frozen: every speed-up is relative to this loop, so nothing
here may be slower than necessary, or made faster later.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from loop_bench.seqgan import feeds as pipeline
from loop_bench.seqgan import replicas, rollout, steps
from loop_bench.seqgan.calls import HISTORY_KEYS
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.dataset import Dataset
from loop_bench.seqgan.evaluation import Evaluation
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.part import Part

PROGRESS_EVERY = 10  # batches


class PlainReplica:
    """A replica of the loop on one device: its networks, and an update of each by the gradients of all replicas."""

    def __init__(self, config: Config, data: Dataset, part: Part, networks: Networks | None) -> None:
        self.part = part
        self.networks = networks or Networks(config, data.sizes)
        generator, discriminator = self.networks.generator, self.networks.discriminator
        self.sampler = part.sampler(config.sampler or "categorical")
        self.apply_g = part.applying(self.networks.g_optimizer.apply, generator.trainable_variables, guarded=False)
        self.apply_d = part.applying(self.networks.d_optimizer.apply, discriminator.trainable_variables, guarded=False)
        self.rollouts = rollout.Rollouts(generator, discriminator, self.sampler, config, compiled=False)


class BaselineLoop:
    """Adversarial training with three graph calls a batch and `.numpy()` on each metric.

    Has the arguments of `loop_bench.seqgan.loop.OptimizedLoop`. `progress` is the line that a terminal would show.

    With several `config.replicas` it uses `tf.distribute` in the usual way: each of the three graph calls runs in all
    replicas, on their rows of the batch, and an update applies the sum of their gradients. It reads the same values.
    """

    def __init__(self, config: Config, data: Dataset, networks: Networks | None = None, start_batch: int = 0) -> None:
        self.config = config
        self._all = replicas.replicas(config, compiled=False)
        given = iter([networks])
        self._replicas = self._all.make(lambda part: PlainReplica(config, data, part, next(given, None)))
        self.networks = self._replicas[0].networks
        self.progress = ""
        self._data = data
        self._batch = start_batch
        self._batches = iter(pipeline.batches(config, data, start_batch))
        self._history: dict[str, list[float]] = {key: [] for key in HISTORY_KEYS}
        self.generate_fake_samples = self._all.graph(self._generate_fake_samples)
        self.train_discriminator_adversarial = self._all.graph(self._train_discriminator)
        self.train_generator_adversarial = self._all.graph(self._train_generator)
        self.rollout_rewards = self._all.graph(self._rollout_rewards)
        self._lines: list[np.ndarray] = []

    def run(self, batches: int) -> None:
        """Trains exactly `batches` more batches."""
        if not self._history["g_loss"]:
            self._all.align([each.networks.adversarial_variables for each in self._replicas])
        temperature = tf.constant(self.temperature)
        for _ in range(batches):
            real, character, scene = next(self._batches)
            self._train_batch(real, character, scene, temperature)
            self._batch += 1

    def history(self) -> dict[str, np.ndarray]:
        """Metrics of all batches so far by name, [batches] float32 each."""
        return {key: np.array(values, np.float32) for key, values in self._history.items()}

    @functools.cached_property
    def variables(self) -> list[Any]:
        """Weights and optimizer state; with several replicas, each variable has its `values`."""
        return self._all.variables([each.networks.adversarial_variables for each in self._replicas])

    @property
    def temperature(self) -> float:
        """Temperature of the policy, which is constant."""
        return self.config.temperature_fixed

    def describe(self) -> dict[str, Any]:
        """Description of this loop for a record."""
        return {
            "config": self.config.to_dict(),
            "samples": self._batch * self.config.batch_size,
            "tokens_per_sample": self.config.sequence_length,
            "batches_per_epoch": self._data.batches_per_epoch(self.config.batch_size),
            "temperature": self.temperature,
        }

    def evaluate(self) -> dict[str, float]:
        """Ratings of the generator by `Evaluation`; reads the device, and does not affect training."""
        return self._evaluation.now()

    def lines(self) -> np.ndarray:
        """The first generated lines of each batch so far, [batches, B, T] int32, if the config has `keep_lines`."""
        return np.array(self._lines, np.int32)

    def recent(self) -> dict[str, float]:
        """Metrics of the last batch, for a progress display; empty at first."""
        return {key: values[-1] for key, values in self._history.items() if values}

    @functools.cached_property
    def _evaluation(self) -> Evaluation:
        return Evaluation(self.config, self._data, self.networks.generator)

    def _train_batch(self, real: tf.Tensor, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor) -> None:
        config = self.config
        draw = self._batch * (config.d_steps + config.g_steps)
        fake = self.generate_fake_samples(character, scene, temperature, tf.constant(draw))

        d_loss, d_accuracy = self.train_discriminator_adversarial(real, fake)
        for step in range(1, config.d_steps):
            fresh = self.generate_fake_samples(character, scene, temperature, tf.constant(draw + step))
            d_loss, d_accuracy = self.train_discriminator_adversarial(real, fresh)

        g_loss, g_reward = self._learn(fake, character, scene, temperature, draw)
        for step in range(1, config.g_steps):
            fresh_draw = draw + config.d_steps + step
            fresh = self.generate_fake_samples(character, scene, temperature, tf.constant(fresh_draw))
            g_loss, g_reward = self._learn(fresh, character, scene, temperature, fresh_draw)

        if config.keep_lines:
            self._lines.append(self._all.gather(fake).numpy())
        self._history["g_loss"].append(float(g_loss.numpy()))
        self._history["d_loss"].append(float(d_loss.numpy()))
        self._history["d_accuracy"].append(float(d_accuracy.numpy()))
        self._history["g_reward"].append(float(g_reward.numpy()))
        if self._batch % PROGRESS_EVERY == 0:
            self.progress = (
                f"batch {self._batch}: g_loss {g_loss.numpy():.4f}, d_loss {d_loss.numpy():.4f}, "
                f"d_accuracy {d_accuracy.numpy():.2f}, g_reward {g_reward.numpy():.4f}"
            )

    def _learn(
        self, lines: tf.Tensor, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: int
    ) -> Any:
        known = (lines, character, scene, temperature)
        rewards = (self.rollout_rewards(*known, tf.constant(draw)),) if self.config.rollouts else ()
        return self.train_generator_adversarial(*known, *rewards)

    @property
    def _here(self) -> PlainReplica:
        """The replica that is being traced."""
        return self._replicas[self._all.here]

    # The methods below are traced into graphs.

    def _generate_fake_samples(
        self, char_cond: tf.Tensor, scene_cond: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> tf.Tensor:
        """Draws lines [B, T] for characters and scenes [B]; the same `draw` gives the same lines."""
        here = self._here
        return here.networks.generator.sample(here.sampler, char_cond, scene_cond, temperature, self.config.seed, draw)

    def _train_discriminator(self, real_sequences: tf.Tensor, fake_sequences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One update on real and generated lines [B, T]; returns loss and accuracy before it."""
        here = self._here
        return steps.discriminator_step(
            here.networks.discriminator, here.apply_d, real_sequences, fake_sequences, here.part
        )

    def _train_generator(
        self,
        sequences: tf.Tensor,
        char_cond: tf.Tensor,
        scene_cond: tf.Tensor,
        temperature: tf.Tensor | float = 1.0,
        rewards: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One REINFORCE update on lines [B, T] drawn at `temperature`; returns loss and mean reward.

        The rewards [B, T] are by default the discriminator's for the whole lines.
        """
        here = self._here
        return steps.policy_gradient_step(
            here.networks.generator,
            here.networks.discriminator,
            here.apply_g,
            sequences,
            char_cond,
            scene_cond,
            temperature,
            rewards,
            here.part,
        )

    def _rollout_rewards(
        self,
        sequences: tf.Tensor,
        char_cond: tf.Tensor,
        scene_cond: tf.Tensor,
        temperature: tf.Tensor,
        draw: tf.Tensor,
    ) -> tf.Tensor:
        """Reward of each token [B, T] of lines [B, T], from `config.rollouts` completions of each prefix."""
        return self._here.rollouts(sequences, char_cond, scene_cond, temperature, self.config.seed, draw)
