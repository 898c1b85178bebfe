"""The loops that are compared by default: the only part of the harness that knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import UsageError
from bench.faults.experiment import Loop, Plan, canonical
from bench.ladders.ladder import Ladder, Rung
from bench.record import ARMS, Settings
from bench.sweep.axis import Axis
from bench.sweep.plan import TIME_LIMIT, Size, Sweep
from seqgan import config, dataset, device
from seqgan.errors import InputError

BEFORE = "baseline:make_loop"
AFTER = "seqgan:make_loop"

FAULTS = ("nan,target=generator", "inf,target=discriminator", "scale=1e4,target=generator")
"""What the built-in loops are put through in every run: not a number, infinity, and a spike that leaves every number
finite."""

FAULTS_OF_ANY_LOOP = ("nan", "inf", "scale=1e4")
"""What other loops are put through, for their networks have other names."""

MAGNITUDES = ("scale=10", "scale=100", "scale=1e4", "scale=1e18", "scale=1e38", "inf", "nan")
"""Of a gradient that goes wrong in one batch, in the order of a table."""

_SHAPES = (
    "nan,extent=element",
    "nan,batches=40,probability=0.1",
    "nan,batches=40",
    "scale=1000,batches=15,growth=1000",
)
"""Faults that are in the gradients too, and come otherwise."""

_ELSEWHERE = (
    "nan,in=train_discriminator_adversarial(real_sequences),target=discriminator",
    "nan,in=weights,target=generator,extent=element",
    "scale=1000,in=learning_rate,target=generator",
    "nan,in=seqgan.objectives:policy_gradient_loss(rewards),target=generator",
)
"""A poisoned batch (of token ids: they are no index of anything), a weight that is not a number, a learning rate a
thousand times too high, and a reward that is not a number."""

_ELSEWHERE_OF_ANY_LOOP = ("nan,in=weights,extent=element", "scale=1000,in=learning_rate")

_OF_RUNGS = ("scale=1e4", "scale=1e38", "inf", "nan", "nan,extent=element")
"""Faults in which the rungs of the ladder of protections differ."""


SEEDS_OF_RUNGS = 3
"""Where every seed says the same, so many are enough; the arms are what is compared."""

AXES = {
    "batch": "batch_size",
    "tokens": "sequence_length",
    "vocabulary": "vocabulary_size",
    "hidden": "hidden_size",
    "d_steps": "d_steps",
}
"""Sizes of the work that a sweep can vary, and the config's fields that they are."""

PRESETS = tuple(config.PRESETS)
"""The sizes of the work that the built-in loops know."""


def survival_plan(settings: Settings, seeds: int | None = None, epochs: int = 0) -> Plan:
    """Which loops are put through what.

    Args:
        settings: of the run.
        seeds: everything there is, from so many seeds, with the ladder of protections between the built-in loops;
            None for the few faults of every run, from the one seed of the settings.
        epochs: that each loop is to train without a fault besides.
    """
    faults: tuple[str, ...]
    built_in = {settings.before, settings.after} <= {BEFORE, AFTER}
    if seeds is None:
        faults = FAULTS if built_in else FAULTS_OF_ANY_LOOP
    elif built_in:
        each = [f"{fault},target={network}" for network in ("generator", "discriminator") for fault in MAGNITUDES]
        faults = (*each, *(f"{shape},target=generator" for shape in _SHAPES), "nan", *_ELSEWHERE)
    else:
        faults = (*MAGNITUDES, *_SHAPES, *_ELSEWHERE_OF_ANY_LOOP)
    loops = {
        arm: Loop(factory=factory, options=dict(settings.options), faults=canonical(faults))
        for arm, factory in zip(ARMS, (settings.before, settings.after), strict=True)
    }
    if seeds is not None and built_in:
        rungs = canonical(f"{fault},target=generator" for fault in _OF_RUNGS)
        loops |= {
            f"{ARMS[1]}, {protection}": Loop(
                factory=AFTER,
                options={**settings.options, "protection": protection},
                faults=rungs,
                most_seeds=SEEDS_OF_RUNGS,
            )
            for protection in config.PROTECTIONS[:-1]
        }
    started_from = (settings.seed,) if seeds is None else tuple(range(settings.seed, settings.seed + seeds))
    return Plan(loops=loops, preset=settings.preset, seeds=started_from, epochs=epochs)


def shown(plan: Plan) -> tuple[str, ...]:
    """The faults of a plan around which the metrics are drawn: those of every run, or else its first ones."""
    planned = plan.loops[ARMS[0]].faults
    usual = canonical((*FAULTS, *FAULTS_OF_ANY_LOOP))
    return tuple(fault for fault in planned if fault in usual)[:3] or planned[:3]


def axes(before: str, after: str) -> tuple[str, ...] | None:
    """What a sweep can vary; None where both loops are someone else's: a name is then an option of theirs."""
    return tuple(AXES) if _any_built_in(before, after) else None


def sweep(settings: Settings, over: Sequence[Axis], time_limit: float = TIME_LIMIT) -> Sweep:
    """At which sizes the loops are measured.

    Args:
        settings: of the run.
        over: the axes, as `axes` knows them.
        time_limit: seconds for a point.

    Raises:
        UsageError: a built-in loop does not take a value.
    """
    any_, both = _any_built_in(settings.before, settings.after), {settings.before, settings.after} <= {BEFORE, AFTER}

    def size(name: str, value: int) -> Size:
        if not any_:
            return Size({**settings.options, name: value}, None)
        varied = {**settings.options, AXES[name]: value}
        check(settings.before, settings.after, settings.preset, settings.seed, varied)
        made, plain = (_config(settings, options) for options in (varied, settings.options))
        # The preset's own value, named or not, is the same work for loops that have the preset: it is measured once.
        return Size(dict(settings.options) if both and made == plain else varied, made.sequence_length)

    sizes = {axis: [size(axis.name, value) for value in axis.values] for axis in over}
    return Sweep.of(settings, sizes, time_limit)


def _any_built_in(before: str, after: str) -> bool:
    return bool({before, after} & {BEFORE, AFTER})


def _config(settings: Settings, options: Mapping[str, Any]) -> config.Config:
    fields = {name: value for name, value in options.items() if name != "script"}
    return config.Config.preset(settings.preset, seed=settings.seed, **fields)


def ladder(settings: Settings) -> Ladder:
    """What lies between the loops: one change after the other, and each left out of all of them.

    Args:
        settings: of the run.
    """
    same = equivalent_options(settings.before, settings.after)
    options = dict(settings.options)
    rungs = (
        Rung(name="baseline", factory=settings.before, options=options, group="baseline"),
        Rung(name="everything", factory=settings.after, options=options, group="step", equivalent_options=same),
    )
    return Ladder(rungs=rungs, preset=settings.preset, seed=settings.seed, batches=settings.batches)


def start_tensorflow() -> None:
    """Imports it without its start-up notes."""
    device.start_tensorflow()


def equivalent_options(before: str, after: str) -> dict[str, Any] | None:
    """With what options both loops are the same algorithm; None where that is not known.

    Clipping is out of reach, there is one temperature and one sampler, and XLA does not reorder any arithmetic.
    """
    if not {before, after} <= {BEFORE, AFTER}:
        return None
    temperature = config.Config().temperature_fixed
    return {
        "clip_norm": 1e9,
        "clip_ratio": 1e9,
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
    if not _any_built_in(before, after):
        return
    fields = dict(options)
    script = fields.pop("script", None)
    try:
        made = config.Config.preset(preset or "paper", seed=seed, **fields)
        if script is not None:
            dataset.load(made, script)
    except InputError as error:
        raise UsageError(str(error)) from None
