"""The loops that are compared by default: the only part of the harness that knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import UsageError
from bench.experiments.convergence.plan import ConvergencePlan, Question, TrainedLoop
from bench.experiments.ladder.plan import Group, Ladder, Rung
from bench.experiments.survival.plan import AttackedLoop, SurvivalPlan, canonical
from bench.experiments.sweep.axis import Axis
from bench.experiments.sweep.plan import TIME_LIMIT, Size, Sweep
from bench.settings import ARMS, Settings
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

UNCHANGED = "no change yet: the same loop, of the other one's parts"
"""The first step: what it takes or gives is no optimisation, but how the baseline happens to be written."""

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
    "XLA": {"jit_compile": _DEFAULTS.jit_compile},
}
"""The changes from the loop before to the loop after, in the order in which one would make them."""

_EXACT = (UNCHANGED, *list(CHANGES)[: list(CHANGES).index("sampled pass")])
"""Rungs that, with clipping, temperature and sampler alike, only move reads and calls."""

_TOGETHER = {"fused step": ("window", "sampled pass")}
"""What cannot be kept without a change, because it needs a batch that is one graph."""

FIXED = f"{ARMS[1]}, fixed temperature"
"""The loop after without annealing: what it differs in from the loop after is annealing and nothing else."""

HELD_OUT = 0.1
"""Share of a script's lines that experiments on convergence hold out."""

PRESETS = tuple(config.PRESETS)
"""The sizes of the work that the built-in loops know."""


def survival_plan(settings: Settings, seeds: int | None = None, epochs: int = 0) -> SurvivalPlan:
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
        arm: AttackedLoop(factory=factory, options=dict(settings.options), faults=canonical(faults))
        for arm, factory in zip(ARMS, (settings.before, settings.after), strict=True)
    }
    if seeds is not None and built_in:
        rungs = canonical(f"{fault},target=generator" for fault in _OF_RUNGS)
        loops |= {
            f"{ARMS[1]}, {protection}": AttackedLoop(
                factory=AFTER,
                options={**settings.options, "protection": protection},
                faults=rungs,
                most_seeds=SEEDS_OF_RUNGS,
            )
            for protection in config.PROTECTIONS[:-1]
        }
    started_from = (settings.seed,) if seeds is None else tuple(range(settings.seed, settings.seed + seeds))
    return SurvivalPlan(loops=loops, preset=settings.preset, seeds=started_from, epochs=epochs)


def shown(plan: SurvivalPlan) -> tuple[str, ...]:
    """The faults of a plan around which the metrics are drawn: those of every run, or else its first ones."""
    planned = plan.loops[ARMS[0]].faults
    usual = canonical((*FAULTS, *FAULTS_OF_ANY_LOOP))
    return tuple(fault for fault in planned if fault in usual)[:3] or planned[:3]


def convergence_plan(settings: Settings, seeds: int, epochs: int, every: int | None = None) -> ConvergencePlan:
    """Which loops are trained to see how well they learn.

    Built-in loops begin with pre-trained networks, hold lines out, and are rated at one temperature. Between them is
    the loop after with the temperature of the loop before.

    Args:
        settings: of the run.
        seeds: so many, from that of the settings on.
        epochs: of each run.
        every: batches of an epoch; None: the loops' own.
    """
    options = {
        arm: {**(_ready() if factory in (BEFORE, AFTER) else {}), **settings.options}
        for arm, factory in zip(ARMS, (settings.before, settings.after), strict=True)
    }
    before, after = ARMS
    loops = {
        before: TrainedLoop(factory=settings.before, options=options[before]),
        after: TrainedLoop(factory=settings.after, options=options[after]),
    }
    pairs: tuple[Question, ...] = (
        Question(changed=after, reference=before, question="does the loop after learn better?"),
    )
    if (settings.before, settings.after) == (BEFORE, AFTER):
        loops[FIXED] = TrainedLoop(factory=AFTER, options={**options[after], **_fixed_temperature()})
        pairs = (
            Question(changed=after, reference=FIXED, question="does annealing help?"),
            Question(changed=FIXED, reference=before, question="does all the rest change anything?"),
            *pairs,
        )
    started_from = tuple(range(settings.seed, settings.seed + seeds))
    return ConvergencePlan(
        loops=loops, pairs=pairs, preset=settings.preset, seeds=started_from, epochs=epochs, every=every
    )


def _ready() -> dict[str, Any]:
    """Options of built-in loops; the temperature of ratings is the default, named so that the record says it."""
    return {"pretrained": True, "held_out": HELD_OUT, "evaluation_temperature": _DEFAULTS.evaluation_temperature}


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

    def rung(name: str, group: Group, options: Mapping[str, Any], factory: str = settings.after) -> Rung:
        given, exact = {**options, **settings.options}, name in _EXACT
        return Rung(name=name, factory=factory, options=given, group=group, equivalent_options=same, exact=exact)

    baseline = rung("baseline", "baseline", {}, settings.before).model_copy(update={"equivalent_options": None})
    if (settings.before, settings.after) == (BEFORE, AFTER):
        steps, left_out = _built_in_rungs()
    else:
        steps, left_out = {"everything": {}}, {}
    rungs = (
        baseline,
        *(rung(name, "step", options) for name, options in steps.items()),
        *(rung(name, "left out", options) for name, options in left_out.items()),
    )
    return Ladder(rungs=rungs, preset=settings.preset, seed=settings.seed, batches=settings.batches)


def _built_in_rungs() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The options of the optimised loop with one change after the other, and with each left out."""
    off = _without()
    steps = {UNCHANGED: dict(off)}
    for name, change in CHANGES.items():
        off = {**off, **change}
        steps[name] = dict(off)
    left_out = {}
    for name in CHANGES:
        gone = [name, *_TOGETHER.get(name, ())]
        kept = {key: value for other in CHANGES if other not in gone for key, value in CHANGES[other].items()}
        left_out[f"without {', '.join(gone)}"] = {**_without(), **kept}
    return steps, left_out


def _without() -> dict[str, Any]:
    """The optimised loop with none of the changes: the baseline, put together of the other's parts."""
    return {
        "metrics": "each_call",
        "protection": "none",
        **_fixed_temperature(),
        "calls": "three",
        "feed": "pipeline",
        "sampler": "categorical",
        "policy_gradient": "second_pass",
        "jit_compile": False,
    }


def start_tensorflow() -> None:
    """Imports it without its start-up notes."""
    device.start_tensorflow()


def equivalent_options(before: str, after: str) -> dict[str, Any] | None:
    """With what options both loops are the same algorithm; None where that is not known.

    Clipping is out of reach, and there is one temperature and one sampler.
    """
    if not {before, after} <= {BEFORE, AFTER}:
        return None
    clipping = {"clip_norm": 1e9, "clip_ratio": 1e9}
    return {**clipping, **_fixed_temperature(), "sampler": "inverse_cdf", "keep_lines": True}


def _fixed_temperature() -> dict[str, Any]:
    fixed = config.Config().temperature_fixed
    return {"temperature_start": fixed, "temperature_end": fixed, "temperature_decay": 1.0}


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
