"""A replica of the optimised loop on one device: its networks, updates, sampler and rows of each batch."""

from __future__ import annotations

from typing import Any

from loop_bench.seqgan import discriminator, feeds, protection, rollout
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.dataset import Dataset
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.part import Part


class Replica:
    """A replica of the optimised loop.

    Args:
        config: config of the run.
        data: lines to train on.
        part: the replica's part of each batch.
        networks: networks to train; None: fresh ones made from the config.

    Attributes:
        part: the replica's part of each batch.
        networks: the networks that it trains.
        feed: source of its rows.
        sampler: draws tokens for its rows.
        judge: computes the discriminator.
        g_update, d_update: protected updates of the networks, with their counters.
        apply_g, apply_d: one update by the gradients of all replicas.
        rollouts: computes the rewards of tokens, if the config has rollouts.
    """

    def __init__(self, config: Config, data: Dataset, part: Part, networks: Networks | None = None) -> None:
        self.part = part
        self.networks = networks or Networks(config, data.sizes)
        self.feed = feeds.BY_NAME[config.feed](config, data, part.rows)
        self.sampler = part.sampler(config.sampler or "inverse_cdf")
        self.judge = discriminator.BY_NAME[config.convolutions](self.networks.discriminator)
        protect = protection.BY_NAME[config.protection]
        self.g_update = protect(self.networks.g_optimizer, config)
        self.d_update = protect(self.networks.d_optimizer, config)
        self.apply_g = part.applying(self.g_update.apply, self.networks.generator.trainable_variables)
        self.apply_d = part.applying(self.d_update.apply, self.networks.discriminator.trainable_variables)
        self.rollouts = rollout.Rollouts(
            self.networks.generator, self.networks.discriminator, self.sampler, config, config.jit_compile
        )

    @property
    def variables(self) -> list[Any]:
        """Weights, optimizer state and state of the guards."""
        return [*self.networks.adversarial_variables, *self.g_update.state, *self.d_update.state]
