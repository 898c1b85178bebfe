"""From a preset's name and options to a config and its data; the same for both loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from seqgan import dataset
from seqgan.config import Config


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


def resolve(spec: Spec) -> tuple[Config, dataset.Dataset]:
    """The config and the data that `spec` stands for; InputError if it does not stand for any."""
    fields = dict(spec.options)
    script = fields.pop("script", None)
    config = Config.preset(spec.preset, seed=spec.seed, **fields)
    return config, dataset.load(config, script)
