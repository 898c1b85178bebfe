"""Optimised training loop: numbers are read from the device only when it has other work queued.

Compared with the loop in baseline/: metrics stay on the device, updates are clipped and guarded, the temperature is
annealed, the discriminator may be trained less often, lines are resident, the generator learns from the pass in which
it has drawn its lines, the discriminator's convolutions are one product, and a window of batches is one graph call that
XLA compiles. Each change is a field of the config and a class of its own, so that each can be measured alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from loop_bench.seqgan import calls, device, feeds, guard, policy, replicas, steps
from loop_bench.seqgan.calls import HISTORY_KEYS, last_row
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.dataset import Dataset
from loop_bench.seqgan.evaluation import Evaluation
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.replica import Replica

NETWORKS = ("generator", "discriminator")

# After the metrics, each row has each network's skips in a row and in total, so that one read returns all of them.
_COLUMNS = len(HISTORY_KEYS) + 2 * len(NETWORKS)


class OptimizedLoop:
    """Adversarial training that keeps its numbers on the device.

    Args:
        config: config of the run.
        data: lines to train on.
        networks: networks to train; None: fresh ones made from the config.
        start_batch: number of adversarial batches that the networks were trained on before.
    """

    def __init__(self, config: Config, data: Dataset, networks: Networks | None = None, start_batch: int = 0) -> None:
        self.config = config
        compiled = config.jit_compile
        self._all = replicas.replicas(config, compiled)
        given = iter([networks])
        self._replicas = self._all.make(lambda part: Replica(config, data, part, next(given, None)))
        first = self._replicas[0]
        self.networks = first.networks
        self._data = data
        self._start_batch = self._batch = start_batch
        drawn = config.batch_size * config.sequence_length if config.keep_lines else 0
        self._metrics = calls.METRICS_BY_NAME[config.metrics](_COLUMNS + drawn)
        # An input of the graphs rather than a constant, so that the graphs are the same for every seed.
        self._seed = tf.constant(config.seed & 0x7FFFFFFF)
        self._g_update, self._d_update = first.g_update, first.d_update
        self._skips_before: tf.Tensor | None = None  # total skips of each network, [2] int64, before the first batch
        # Loss and accuracy of the last batch that trained the discriminator, reported for batches that do not.
        self._d_metrics = tf.Variable([0.0, 0.0], trainable=False, name="last_discriminator_metrics")

        # Without AutoGraph, which has nothing to convert here and would take seconds to find that out.
        graph = functools.partial(tf.function, jit_compile=compiled, autograph=False)
        # Several replicas exchange gradients within an update; XLA compiles the parts before and after the exchange.
        alone = config.replicas == 1
        self.generate_fake_samples = graph(self._generate_fake_samples)
        self.train_discriminator_adversarial = graph(self._train_discriminator) if alone else self._train_discriminator
        self.train_generator_adversarial = graph(self._train_generator) if alone else self._train_generator
        self.rollout_rewards = tf.function(self._rollout_rewards, autograph=False)
        self._policies = [self._choose_policy(each) for each in self._replicas]
        self._feed = first.feed if alone else feeds.SplitFeed(self._all, [each.feed for each in self._replicas])
        epoch_length = data.batches_per_epoch(config.batch_size)
        # With rollouts, XLA compiles only the parts of a batch: the rollouts dominate, and need all threads of a CPU.
        self._train = calls.BY_NAME[config.calls](
            self._train_batch,
            self._feed,
            min(config.window, epoch_length),
            compiled and not config.rollouts and alone,
        )

    def run(self, batches: int) -> None:
        """Trains exactly `batches` more batches; device work may still be in flight on return.

        Reads the device once per epoch: the metrics of the previous epoch, after a window of this one is queued.

        Raises:
            NonFiniteUpdatesError: `max_consecutive_skips` updates in a row were skipped; the message says whether all
                weights are finite. Detected at a read, so up to an epoch late, in which skipped updates do no harm.
        """
        if self._skips_before is None:  # only now, because a checkpoint may be restored first; stays on the device
            self._all.align([each.variables for each in self._replicas])
            self._skips_before = tf.stack([self._g_update.total, self._d_update.total])
        end = self._batch + batches
        epoch_length = self._data.batches_per_epoch(self.config.batch_size)
        while self._batch < end:
            offset = self._batch % epoch_length
            count = min(self._train.most, end - self._batch, epoch_length - offset)
            stretch = self._feed.stretch(self._batch, count)
            self._metrics.append(self._train(stretch, self.temperature, self._batch), count)
            self._batch += count
            if offset == 0:
                self._catch_up()

    def history(self) -> dict[str, np.ndarray]:
        """Metrics of all batches so far by name, [batches] float32 each; reads those that are still on the device."""
        self._metrics.read()
        return dict(zip(HISTORY_KEYS, self._metrics.rows().T, strict=False))

    @functools.cached_property
    def variables(self) -> list[Any]:
        """Weights, optimizer state and state of the guards; with several replicas, each variable has its `values`."""
        # If the discriminator is trained in every batch, its metrics are overwritten before use, so are no state.
        metrics = [self._d_metrics] if self.config.d_train_interval > 1 else []
        return [*self._all.variables([each.variables for each in self._replicas]), *metrics]

    @property
    def temperature(self) -> float:
        """Temperature of the policy in the next batch."""
        return self.config.annealed_temperature(self._batch // self._data.batches_per_epoch(self.config.batch_size))

    def describe(self) -> dict[str, Any]:
        """Description of this loop for a record; reads the device."""
        skipped = {"generator": int(self._g_update.total), "discriminator": int(self._d_update.total)}
        return {
            "config": self.config.to_dict(),
            "samples": self._batch * self.config.batch_size,
            "tokens_per_sample": self.config.sequence_length,
            "batches_per_epoch": self._data.batches_per_epoch(self.config.batch_size),
            "temperature": self.temperature,
            "skipped_updates": skipped,
            "skipped_batches": self.skipped_batches(),
        }

    def skipped_batches(self) -> dict[str, list[int]]:
        """Batches of this loop in which an update was skipped, by network; reads the device.

        Numbered from the first adversarial batch of the run, as `start_batch` is.
        """
        if self._skips_before is None:
            return {network: [] for network in NETWORKS}
        self._metrics.read()
        found = {}
        for network, (_, total), before in zip(NETWORKS, self._counters(), self._skips_before.numpy(), strict=True):
            found[network] = [self._start_batch + row for row in guard.skipped_rows(total, before)]
        return found

    def recent(self) -> dict[str, float]:
        """The latest metrics that can be read without emptying the device's queue, for a progress display.

        The latest window is not read, so that the device has work while earlier ones are read; empty at first.

        Raises:
            NonFiniteUpdatesError: as `run`.
        """
        self._catch_up()
        return last_row(self._metrics.rows())

    def evaluate(self) -> dict[str, float]:
        """Ratings of the generator by `Evaluation`; reads the device, and does not affect training."""
        return self._evaluation.now()

    def lines(self) -> np.ndarray:
        """The first generated lines of each batch so far, [batches, B, T] int32; reads the device.

        Kept only if the config has `keep_lines`.
        """
        self._metrics.read()
        shape = (-1, self.config.batch_size, self.config.sequence_length)
        return self._metrics.rows()[:, _COLUMNS:].astype(np.int32).reshape(shape)

    @functools.cached_property
    def _evaluation(self) -> Evaluation:
        return Evaluation(self.config, self._data, self.networks.generator)

    def _catch_up(self) -> None:
        """Reads all metrics but those of the latest call, and checks the counters of skips read so far."""
        self._metrics.read(leave=1)
        for network, (consecutive, total) in zip(NETWORKS, self._counters(), strict=True):
            if run := guard.first_skip_run(consecutive, total, self.config.max_consecutive_skips):
                first, last = self._start_batch + run.first, self._start_batch + run.last
                raise guard.too_many_skips(network, run.length, first, last, self.networks.weights)

    def _counters(self) -> list[np.ndarray]:
        """For each network, its skips in a row and in total, [2, batches] float32, of the batches read so far."""
        return np.split(self._metrics.rows()[:, len(HISTORY_KEYS) : _COLUMNS].T, len(NETWORKS))

    def _choose_policy(self, replica: Replica) -> policy.Policy:
        if not self.config.keeps_sampled_pass:
            return policy.SecondPass(self, rollouts=self.config.rollouts > 0)
        in_one_program = self.config.jit_compile and self.config.replicas == 1 and not device.on_gpu()
        return policy.SampledPass(
            replica.networks.generator,
            replica.judge,
            replica.sampler,
            self._seed,
            replica.apply_g,
            replica.part,
            self.config.batch_size if in_one_program else None,
        )

    @property
    def _here(self) -> Replica:
        """The replica that is being traced."""
        return self._replicas[self._all.here]

    # The methods below are traced into graphs.

    def _train_batch(
        self, real: tf.Tensor, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, batch: tf.Tensor | int
    ) -> tf.Tensor:
        """Trains batch number `batch` on real lines [B, T]; returns its row of metrics, [columns] float32."""
        config, run = self.config, self._all.run
        draw = tf.convert_to_tensor(batch * (config.d_steps + config.g_steps))
        lines = run(self._draw, character, scene, temperature, draw)

        def train_discriminator() -> None:
            latest = run(self.train_discriminator_adversarial, real, lines.tokens)
            for step in range(1, config.d_steps):
                fresh = run(self.generate_fake_samples, character, scene, temperature, draw + step)
                latest = run(self.train_discriminator_adversarial, real, fresh)
            self._d_metrics.assign(tf.stack(self._all.first(latest)))

        if config.d_train_interval == 1:
            train_discriminator()
        else:
            _when(batch % config.d_train_interval == 0, train_discriminator)

        learned = run(self._learn, lines, character, scene, temperature, draw)
        for step in range(1, config.g_steps):
            fresh_draw = draw + config.d_steps + step
            fresh_lines = run(self._draw, character, scene, temperature, fresh_draw)
            learned = run(self._learn, fresh_lines, character, scene, temperature, fresh_draw)

        g_loss, g_reward = self._all.first(learned)
        d_loss, d_accuracy = tf.unstack(self._d_metrics.read_value())
        counters = [(update.consecutive, update.total) for update in (self._g_update, self._d_update)]
        row = [tf.stack([g_loss, d_loss, d_accuracy, g_reward]), tf.reshape(tf.stack(counters), [-1])]
        row += [tf.reshape(self._all.gather(lines.tokens), [-1])] if config.keep_lines else []
        return tf.concat([tf.cast(values, tf.float32) for values in row], axis=0)

    def _draw(self, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor) -> Any:
        return self._policies[self._all.here].draw(character, scene, temperature, draw)

    def _learn(
        self, lines: Any, character: tf.Tensor, scene: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> policy.Metrics:
        return self._policies[self._all.here].learn(lines, character, scene, temperature, draw)

    def _generate_fake_samples(
        self, char_cond: tf.Tensor, scene_cond: tf.Tensor, temperature: tf.Tensor, draw: tf.Tensor
    ) -> tf.Tensor:
        """Draws lines [B, T] for characters and scenes [B]; the same `draw` gives the same lines."""
        here = self._here
        return here.networks.generator.sample(here.sampler, char_cond, scene_cond, temperature, self._seed, draw)

    def _train_discriminator(self, real_sequences: tf.Tensor, fake_sequences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One protected update on real and generated lines [B, T]; returns loss and accuracy before it.

        Lines with an invalid token are not trained on: the update is skipped, if the protection can skip updates.
        """
        real, real_exist = steps.existing(real_sequences, self._data.sizes.vocabulary)
        fake, fake_exist = steps.existing(fake_sequences, self._data.sizes.vocabulary)
        here = self._here
        apply = functools.partial(here.apply_d, allowed=real_exist & fake_exist)
        return steps.discriminator_step(here.judge, apply, real, fake, here.part)

    def _train_generator(
        self,
        sequences: tf.Tensor,
        char_cond: tf.Tensor,
        scene_cond: tf.Tensor,
        temperature: tf.Tensor | float = 1.0,
        rewards: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One protected REINFORCE update on lines [B, T] drawn at `temperature`; returns loss and mean reward.

        The rewards [B, T] are by default the discriminator's for the whole lines. An update on an invalid token,
        character or scene is skipped, if the protection can skip updates.
        """
        sizes, here = self._data.sizes, self._here
        tokens, tokens_exist = steps.existing(sequences, sizes.vocabulary)
        character, characters_exist = steps.existing(char_cond, sizes.characters)
        scene, scenes_exist = steps.existing(scene_cond, sizes.scenes)
        return steps.policy_gradient_step(
            here.networks.generator,
            here.judge,
            functools.partial(here.apply_g, allowed=tokens_exist & characters_exist & scenes_exist),
            tokens,
            character,
            scene,
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
        return self._here.rollouts(sequences, char_cond, scene_cond, temperature, self._seed, draw)


def _when(holds: tf.Tensor | bool, act: Callable[[], None]) -> None:
    """Calls `act` if a condition holds; a tensor condition is decided when the graph runs."""

    def acted() -> tf.Tensor:
        act()
        return tf.constant(True)

    if isinstance(holds, bool):
        if holds:
            act()
    else:
        tf.cond(holds, acted, lambda: tf.constant(False))
