"""From a preset's name and options to what a loop is made of; the same for both loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from seqgan import dataset
from seqgan.config import Config

if TYPE_CHECKING:
    from seqgan.networks import Networks


class Spec(Protocol):
    """What a harness says of the loop that it wants."""

    @property
    def preset(self) -> str:
        """The name of a preset."""

    @property
    def seed(self) -> int:
        """Of weights, batches and draws."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Config fields by name, and `script`, a file of real lines."""


def resolve(spec: Spec) -> tuple[Config, dataset.Dataset, Networks | None]:
    """The config, the data and the networks that `spec` stands for; InputError if it does not stand for any.

    The networks are None where the loop is to make them itself, freshly.
    """
    fields = dict(spec.options)
    script = fields.pop("script", None)
    config = Config.preset(spec.preset, seed=spec.seed, **fields)
    data = dataset.load(config, script)
    if not config.pretrained:
        return config, data, None
    from seqgan.pretraining import pretrained  # here, because TensorFlow takes seconds to import

    return config, data, pretrained(config, data)
