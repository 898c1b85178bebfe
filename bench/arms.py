"""The loops that are compared by default: the only part of the harness that knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import UsageError
from bench.faults import Fault
from seqgan import dataset, device
from seqgan.config import PRESETS, Config
from seqgan.errors import InputError

BEFORE = "baseline:make_loop"
AFTER = "seqgan:make_loop"

FAULTS = (
    Fault("nan", target="generator"),
    Fault("inf", target="discriminator"),
    Fault("scale", 1e4, target="generator"),
)
"""What the built-in loops are put through: not a number, infinity, and a spike that leaves every number finite."""

FAULTS_OF_ANY_LOOP = (Fault("nan"), Fault("inf"), Fault("scale", 1e4))
"""What other loops are put through, for their networks have other names."""


def are_built_in(before: str, after: str) -> bool:
    """Whether both factories are the built-in ones."""
    return {before, after} <= {BEFORE, AFTER}


def default_preset() -> str:
    """The size of the work for the machine."""
    return device.default_preset()


def check(preset: str, seed: int, options: Mapping[str, Any]) -> None:
    """Raises UsageError unless the built-in loops can be made of this: before anything slow is begun."""
    fields = dict(options)
    script = fields.pop("script", None)
    try:
        config = Config.preset(preset, seed=seed, **fields)
        if script is not None:
            dataset.load(config, script)
    except InputError as error:
        raise UsageError(str(error)) from None


def presets() -> tuple[str, ...]:
    """The names that the built-in loops know."""
    return tuple(PRESETS)
