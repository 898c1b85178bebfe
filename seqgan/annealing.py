"""The temperature of the policy over the epochs."""

from seqgan.config import Config


def temperature(config: Config, epoch: int) -> float:
    """The annealed temperature of `epoch` (from 0): geometric decay down to a floor.

    With the default constants, 2.0 x 0.95**n, the floor of 0.5 is met from epoch 28 on (n = 27.03).
    """
    return max(config.temperature_end, config.temperature_start * config.temperature_decay**epoch)
