"""The built-in loops and their pairs: the only part of the harness that knows seqgan/ and baseline/."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from loop_bench import pair
from loop_bench.errors import UsageError
from loop_bench.experiments.convergence.plan import Learning, Question
from loop_bench.experiments.ladder.plan import Changes
from loop_bench.experiments.survival.plan import MAGNITUDES, SHAPES, Faults, Variant
from loop_bench.experiments.sweep.plan import Axes
from loop_bench.pair import Arm, Pair
from loop_bench.seqgan import config, dataset, device, table
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.script import ScriptFile
from loop_bench.settings import ARMS, Settings

BEFORE = "loop_bench.baseline:make_loop"
AFTER = "loop_bench.seqgan:make_loop"

FAULTS_PRESET = "tiny"
"""Preset of the loops with faults: both loops reacted as they did at `paper` (results/)."""

FAULTS = ("nan,target=generator", "inf,target=discriminator", "scale=1e4,target=generator")
"""Faults that every run injects into the built-in loops."""

_OTHER_FAULTS = (
    "nan,in=train_discriminator_adversarial(real_sequences),target=discriminator",
    "nan,in=weights,target=generator,extent=element",
    "scale=1000,in=learning_rate,target=generator",
    "nan,in=loop_bench.seqgan.objectives:policy_gradient_loss(rewards),target=generator",
)
"""Further faults: a poisoned batch of token ids, which are then no valid index; a weight that is not a number; a
learning rate a thousand times too high; and a reward that is not a number."""

_VARIANT_FAULTS = ("scale=1e4", "scale=1e38", "inf", "nan", "nan,extent=element")
"""Faults on which the variants of the protection differ."""


VARIANT_SEEDS = 3
"""Seeds of the variants: a few suffice where every seed gives the same outcome; the arms are what is compared."""

AXES = {
    "batch": "batch_size",
    "tokens": "sequence_length",
    "vocabulary": "vocabulary_size",
    "hidden": "hidden_size",
    "d_steps": "d_steps",
    "replicas": "replicas",
}
"""Sizes of the work that a sweep can vary, and the config's fields for them."""

UNCHANGED = "baseline rebuilt from the optimised loop's parts"
"""Name of the first step: its effect is no optimisation, but comes from how the baseline happens to be written."""

_DEFAULTS = config.Config()

CHANGES: dict[str, dict[str, Any]] = {
    "deferred metrics": {"metrics": _DEFAULTS.metrics},
    "guarded clipping": {"protection": _DEFAULTS.protection},
    "annealing": {
        name: getattr(_DEFAULTS, name) for name in ("temperature_start", "temperature_end", "temperature_decay")
    },
    "fused step": {"calls": "one"},
    "window": {"calls": _DEFAULTS.calls},
    "resident data": {"feed": _DEFAULTS.feed},
    "sampler": {"sampler": "inverse_cdf"},
    "sampled pass": {"policy_gradient": "sampled_pass"},
    "one product": {"convolutions": _DEFAULTS.convolutions},
    "XLA": {"jit_compile": _DEFAULTS.jit_compile},
}
"""The changes from the loop before to the loop after, in the order in which a developer would make them."""

_EXACT = (UNCHANGED, *list(CHANGES)[: list(CHANGES).index("sampled pass")])
"""Rungs that, with the same clipping, temperature and sampler, only move reads and calls."""

_DEPENDENT = {"fused step": ("window", "sampled pass")}
"""By change, the changes that cannot be kept without it, because they need a batch that is one graph."""

FIXED = f"{ARMS[1]}, fixed temperature"
"""The loop after without annealing, and with no other difference from the loop after."""

HELD_OUT = 0.1
"""Share of a script's lines that convergence experiments hold out."""

PRESETS = tuple(config.PRESETS)
"""Sizes of the work that the built-in loops know."""

DELIMITERS = tuple(table.DELIMITERS)
"""Separators of a script's columns, by name."""


def find(before: str, after: str) -> Pair:
    """The pair of two factories, built in or declared by their modules."""
    return pair.find(before, after, PAIRS)


def start_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages."""
    device.start_tensorflow()


def importing_tensorflow() -> contextlib.AbstractContextManager[None]:
    """Suspends Python's garbage collection while TensorFlow is imported inside."""
    return device.importing_tensorflow()


def default_preset() -> str:
    """The size of the work that suits the machine."""
    return device.default_preset()


def _config(preset: str | None, seed: int, options: Mapping[str, Any]) -> config.Config:
    """The config of the built-in loops; raises UsageError if it cannot be made of these options."""
    try:
        script, fields = ScriptFile.taken_from(options)
        loop_config = config.Config.preset(preset or "paper", seed=seed, **fields)
        if script is not None:
            dataset.load(loop_config, script)
    except InputError as error:
        raise UsageError(str(error)) from None
    return loop_config


def _work(settings: Settings, options: Mapping[str, Any]) -> tuple[config.Config, int]:
    """The config that options describe, and the tokens in a line."""
    loop_config = _config(settings.preset, settings.seed, options)
    return loop_config, loop_config.sequence_length


def _changes() -> Changes:
    """The optimised loop with one change after another, and with each of them left out."""
    off = _without()
    steps = {UNCHANGED: dict(off)}
    for name, change in CHANGES.items():
        off = {**off, **change}
        steps[name] = dict(off)
    left_out = {}
    for name in CHANGES:
        gone = [name, *_DEPENDENT.get(name, ())]
        kept = {key: value for other in CHANGES if other not in gone for key, value in CHANGES[other].items()}
        left_out[f"without {', '.join(gone)}"] = {**_without(), **kept}
    return Changes(steps, left_out, _EXACT)


def _without() -> dict[str, Any]:
    """The optimised loop with none of the changes: the baseline, rebuilt from the optimised loop's parts."""
    return {
        "metrics": "each_call",
        "protection": "none",
        **_fixed_temperature(),
        "calls": "three",
        "feed": "pipeline",
        "sampler": "categorical",
        "policy_gradient": "second_pass",
        "convolutions": "separate",
        "jit_compile": False,
    }


def _fixed_temperature() -> dict[str, Any]:
    fixed = config.Config().temperature_fixed
    return {"temperature_start": fixed, "temperature_end": fixed, "temperature_decay": 1.0}


def _arm(factory: str) -> Arm:
    # The temperature of ratings is the default, passed explicitly so that the record contains it.
    ready = {"pretrained": True, "held_out": HELD_OUT, "evaluation_temperature": _DEFAULTS.evaluation_temperature}
    return Arm(factory, _config, Axes(AXES, _work), ready)


def _pair(before: str, after: str) -> Pair:
    magnitudes = [f"{fault},target={network}" for network in ("generator", "discriminator") for fault in MAGNITUDES]
    shapes = [f"{shape},target=generator" for shape in SHAPES]
    faults = Faults(
        short=FAULTS,
        matrix=(*magnitudes, *shapes, "nan", *_OTHER_FAULTS),
        must_happen=True,
        short_preset=FAULTS_PRESET,
        variants={f"{ARMS[1]}, {each}": Variant(AFTER, {"protection": each}) for each in config.PROTECTIONS[:-1]},
        variant_faults=tuple(f"{fault},target=generator" for fault in _VARIANT_FAULTS),
        variant_seeds=VARIANT_SEEDS,
    )
    # With clipping out of reach, one temperature and one sampler, both are the same algorithm.
    same = {"clip_norm": 1e9, "clip_ratio": 1e9, **_fixed_temperature(), "sampler": "inverse_cdf", "keep_lines": True}
    built = Pair(_arm(before), _arm(after), faults, same)
    return built if (before, after) != (BEFORE, AFTER) else _with_changes(built)


def _with_changes(built: Pair) -> Pair:
    """Adds to the pair of the baseline and the optimised loop what is known of the changes between them."""
    questions = (
        Question(changed=ARMS[1], reference=FIXED, question="does annealing help?"),
        Question(changed=FIXED, reference=ARMS[0], question="does all the rest change anything?"),
    )
    learning = Learning({FIXED: _fixed_temperature()}, questions)
    return dataclasses.replace(built, changes=_changes(), learning=learning)


PAIRS = tuple(_pair(before, after) for before, after in itertools.product((BEFORE, AFTER), repeat=2))
"""The pair of before and after, its reverse, and each loop with itself."""
