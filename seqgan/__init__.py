"""A conditional SeqGAN for lines of dialogue, with a training loop that keeps its numbers on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from loop_bench.seqgan.config import Config
    from loop_bench.seqgan.dataset import Dataset
    from loop_bench.seqgan.loop import OptimizedLoop
    from loop_bench.seqgan.networks import Networks


class Spec(Protocol):
    """What a harness says of the loop that it wants."""

    @property
    def preset(self) -> str:
        """The name of a preset."""

    @property
    def seed(self) -> int:
        """The seed of weights, batches and draws."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Config fields by name; `script`, a file of real lines, and `columns`, `delimiter`, `encoding` of it."""


def make_loop(spec: Spec) -> OptimizedLoop:
    """The optimised loop on fresh networks, as `loop_bench.loop.LoopFactory` asks.

    Args:
        spec: has `preset` (a name), `seed` and `options`: config fields by name, and `script`, a file,
            with `columns`, `delimiter` and `encoding` as in `loop_bench.seqgan.script.ScriptFile`.

    Raises:
        InputError: an unknown preset or option, a value out of range, or a script that cannot be used.
    """
    from loop_bench.seqgan.loop import OptimizedLoop  # here, because TensorFlow takes seconds to import

    return OptimizedLoop(*resolve(spec))


def resolve(spec: Spec) -> tuple[Config, Dataset, Networks | None]:
    """The config, the data and the networks that `spec` stands for, the same for both loops.

    Returns:
        Config and data; the networks are None where the loop is to make them itself, freshly.

    Raises:
        InputError: as `make_loop`.
    """
    from loop_bench.seqgan import dataset, replicas
    from loop_bench.seqgan.config import Config
    from loop_bench.seqgan.script import ScriptFile

    script, fields = ScriptFile.taken_from(spec.options)
    config = Config.preset(spec.preset, seed=spec.seed, **fields)
    replicas.reserve_devices(config)  # before the oracle draws lines with the devices that there are
    data = dataset.load(config, script)
    if not config.pretrained:
        return config, data, None
    from loop_bench.seqgan.pretraining import pretrained

    return config, data, pretrained(config, data)
