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
    """Description of the loop that a harness requests."""

    @property
    def preset(self) -> str:
        """Name of a preset."""

    @property
    def seed(self) -> int:
        """Seed of weights, batches and draws."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Config fields by name; `script`, a file of real lines, and `columns`, `delimiter`, `encoding` of it."""


def make_loop(spec: Spec) -> OptimizedLoop:
    """Builds the optimised loop on fresh networks; a `loop_bench.loop.LoopFactory`.

    Args:
        spec: has `preset` (a name), `seed` and `options`: config fields by name, and `script`, a file,
            with `columns`, `delimiter` and `encoding` as in `loop_bench.seqgan.script.ScriptFile`.

    Raises:
        InputError: an unknown preset or option, a value out of range, or a script that cannot be used.
    """
    from loop_bench.seqgan.loop import OptimizedLoop  # here, because TensorFlow takes seconds to import

    return OptimizedLoop(*resolve(spec))


def resolve(spec: Spec) -> tuple[Config, Dataset, Networks | None]:
    """Config, data and networks for a spec, the same for both loops.

    Returns:
        Config, data, and the networks; None for the networks if the loop makes fresh ones itself.

    Raises:
        InputError: as `make_loop`.
    """
    from loop_bench.seqgan import dataset, replicas
    from loop_bench.seqgan.config import Config
    from loop_bench.seqgan.script import ScriptFile

    script, fields = ScriptFile.taken_from(spec.options)
    config = Config.preset(spec.preset, seed=spec.seed, **fields)
    replicas.reserve_devices(config)  # before the oracle draws lines, which starts the devices
    data = dataset.load(config, script)
    if not config.pretrained:
        return config, data, None
    from loop_bench.seqgan.pretraining import pretrained

    return config, data, pretrained(config, data)
