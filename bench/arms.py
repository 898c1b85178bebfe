"""The loops that are compared by default: the only part of the harness that knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import UsageError
from bench.faults import Fault
from seqgan import config, dataset, device
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


PRESETS = tuple(config.PRESETS)
"""The sizes of the work that the built-in loops know."""


def faults(before: str, after: str) -> tuple[Fault, ...]:
    """What a pair of loops is put through."""
    return FAULTS if {before, after} <= {BEFORE, AFTER} else FAULTS_OF_ANY_LOOP


def equivalent_options(before: str, after: str) -> dict[str, Any] | None:
    """With what options both loops are the same algorithm; None where that is not known.

    Clipping is out of reach, there is one temperature and one sampler, and XLA does not reorder any arithmetic.
    """
    if not {before, after} <= {BEFORE, AFTER}:
        return None
    temperature = config.Config().temperature_fixed
    return {
        "clip_norm": 1e9,
        "temperature_start": temperature,
        "temperature_end": temperature,
        "temperature_decay": 1.0,
        "sampler": "inverse_cdf",
        "jit_compile": False,
    }


def default_preset() -> str:
    """The size of the work for the machine."""
    return device.default_preset()


def check(before: str, after: str, preset: str | None, seed: int, options: Mapping[str, Any]) -> None:
    """Raises UsageError unless what there is of built-in loops can be made of this, before anything slow is begun."""
    if not {before, after} & {BEFORE, AFTER}:
        return
    fields = dict(options)
    script = fields.pop("script", None)
    try:
        made = config.Config.preset(preset or "paper", seed=seed, **fields)
        if script is not None:
            dataset.load(made, script)
    except InputError as error:
        raise UsageError(str(error)) from None
