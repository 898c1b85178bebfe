"""The options of `pytest bench/`, and what they must be."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest

from bench import builtin
from bench.cli.progress import STARTING
from bench.errors import UsageError
from bench.experiments.convergence.plan import EPOCHS
from bench.experiments.ladder.record import LadderLimits
from bench.experiments.run.record import Record
from bench.experiments.sweep.plan import Axis, parse_axes
from bench.pair import Pair
from bench.records.gate import MAX_SLOWDOWN, Limits
from bench.settings import Settings


def percentage(option: str, text: str) -> float:
    """The share that a text such as `5%` or `2.5%` stands for.

    The sign is wanted: whether a bare 5 or 0.05 is meant as 5% nobody can know.

    Raises:
        UsageError: it is no percentage, or not above zero; it names the option.
    """
    number, sign, rest = text.strip().partition("%")
    try:
        share = float(number) / 100
    except ValueError:
        share = float("nan")
    if not sign or rest or not 0 < share < float("inf"):
        raise UsageError(f"{option} {text!r}: must be a percentage above zero with its sign, such as 5%")
    return share


_SURVIVAL = ("short", "full", "none")

_UTILISATION = 5.0

_UTILISATION_OF = {"tiny": 1.0}
"""Seconds of undisturbed training, unless asked for otherwise; by preset where it is not the first."""

_PAIR: pytest.StashKey[Pair] = pytest.StashKey()

DEFAULT_RESULTS = "results/runs"


def add(parser: pytest.Parser) -> None:
    """Declares the options. All are texts: what is wrong with one is said by `check`, in one line."""
    group = parser.getgroup("bench", "comparing two training loops")
    group.addoption("--preset", help=f"size of the work: {', '.join(builtin.PRESETS)} (default: by the device)")
    group.addoption("--batches", default="10", help="batches of each loop in a round (default: 10)")
    group.addoption(
        "--precision",
        default="3%",
        help="rounds go on until the interval of before/after is narrower than this (default: 3%%)",
    )
    group.addoption("--max-time", default="120", help="or until so many seconds of rounds are over (default: 120)")
    group.addoption("--rounds", help="exactly so many rounds instead")
    group.addoption("--seed", default="0", help="of weights, data and draws (default: 0)")
    group.addoption("--script", help="train on this script, CSV or JSON Lines, instead of synthetic lines")
    group.addoption(
        "--before", default=builtin.BEFORE, help=f"module:factory of the loop before (default: {builtin.BEFORE})"
    )
    group.addoption(
        "--after", default=builtin.AFTER, help=f"module:factory of the loop after (default: {builtin.AFTER})"
    )
    group.addoption(
        "--survival",
        default="short",
        help="faults that the loops are put through: short (a few, from one seed), none, or full: the whole matrix of "
        "faults, seeds and protections, into RESULTS/survival-PRESET, where an interrupted one is gone on with "
        "(default: short)",
    )
    group.addoption(
        "--utilisation",
        metavar="SECONDS",
        help="watch each loop train for so long in a process of its own: utilisation, memory, power, clocks and copies "
        f"of a GPU, CPU time and memory without one; 0: do not (default: {_UTILISATION:g}; "
        f"{', '.join(f'{value:g} at preset {name}' for name, value in _UTILISATION_OF.items())})",
    )
    group.addoption(
        "--profile",
        action="store_true",
        help="trace a stretch of each loop, for TensorBoard, and say where its time goes, into RESULTS/profile-PRESET",
    )
    group.addoption(
        "--sweep",
        action="append",
        metavar="AXIS=VALUES",
        help=f"measure both loops at these sizes as well, such as batch=16,64,256; may be repeated, one axis each "
        f"({', '.join(builtin.AXES)}; of other loops, an option of theirs), the rounds of all sizes taking --max-time "
        "seconds together; into RESULTS/sweep-PRESET, where an interrupted one is gone on with",
    )
    group.addoption(
        "--ladder",
        action="store_true",
        help="time each change between the loops by itself as well, and each left out, for --max-time or --rounds, "
        "into RESULTS/ladder-PRESET, where an interrupted one is gone on with",
    )
    group.addoption(
        "--convergence",
        metavar="SEEDS",
        help=f"train both loops for {EPOCHS} epochs from so many seeds as well, and see which learns better, into "
        "RESULTS/convergence-PRESET, where an interrupted one is gone on with",
    )
    group.addoption(
        "--require-gpu",
        action="store_true",
        help="end at once, with exit code 2, unless TensorFlow computes on a GPU: for runners that should have one",
    )
    group.addoption("--results", default=DEFAULT_RESULTS, help=f"folder for records (default: {DEFAULT_RESULTS})")
    gate = parser.getgroup(
        "bench gate",
        "a limit for the run; the exit code says whether it was kept: "
        "0 yes, 1 no, 2 wrong use, 3 the run cannot tell, 4 the run is invalid",
    )
    gate.addoption("--reference", help="hold ms/batch against this record, or this folder's record for this machine")
    gate.addoption("--max-slowdown", help="more ms/batch than this is too much (default, in any gate: 5%%)")
    gate.addoption("--max-syncs", help="host syncs a batch allowed to the loop after")
    gate.addoption("--min-speedup", help="time before / time after that is wanted")


def check(config: pytest.Config) -> None:
    """Looks at what can be wrong before anything slow is begun.

    Raises:
        UsageError: an option is wrong; it says which and how.
    """
    for name, least in (("batches", 1), ("rounds", 1), ("seed", 0), ("convergence", 1)):
        _whole_number(config, name, least)
    _number(config, "max_time")
    survival(config)
    utilisation(config, "")
    percentage("--precision", config.getoption("precision"))
    gate(config)
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        raise UsageError("-n: measurements would disturb each other; run bench/ in one process")
    option, script = config.getoption, config.getoption("script")
    if script and not Path(script).is_file():
        raise UsageError(f"script {script}: no such file")
    loops = pair(config)
    loops.check(option("preset"), int(option("seed")), _loop_options(config))
    if axes := sweep(config):
        loops.sweep(_settings(config, option("preset") or "paper"), axes)
    _writable(results(config))
    _has_gpu(config)


def settings(config: pytest.Config) -> Settings:
    """The settings that the options, once checked, stand for; starts TensorFlow to choose a default preset."""
    return _settings(config, config.getoption("preset") or builtin.default_preset())


def _settings(config: pytest.Config, preset: str) -> Settings:
    return Settings(
        before=config.getoption("before"),
        after=config.getoption("after"),
        preset=preset,
        seed=int(config.getoption("seed")),
        batches=int(config.getoption("batches")),
        rounds=None if config.getoption("rounds") is None else int(config.getoption("rounds")),
        precision=percentage("--precision", config.getoption("precision")),
        max_time=_number(config, "max_time"),
        options=_loop_options(config),
    )


def pair(config: pytest.Config) -> Pair:
    """Both loops, and what may be asked of them."""
    found = config.stash.get(_PAIR, None)
    if found is None:
        found = config.stash[_PAIR] = builtin.find(config.getoption("before"), config.getoption("after"))
    return found


def survival(config: pytest.Config) -> str:
    """Which faults: `short`, `full` or `none`.

    Raises:
        UsageError: none of them.
    """
    wanted = str(config.getoption("survival"))
    if wanted not in _SURVIVAL:
        raise UsageError(f"--survival {wanted!r}: must be one of {', '.join(_SURVIVAL)}")
    return wanted


def utilisation(config: pytest.Config, preset: str) -> float:
    """For how many seconds each loop is watched; 0: not at all.

    Raises:
        UsageError: not a number, or a negative one.
    """
    if config.getoption("utilisation") is None:
        return _UTILISATION_OF.get(preset, _UTILISATION)
    return _number(config, "utilisation", zero=True)


def sweep(config: pytest.Config) -> tuple[Axis, ...]:
    """Which sizes of the work both loops are measured at; none unless asked for.

    Raises:
        UsageError: a text is no axis and its values.
    """
    texts = config.getoption("sweep")
    if not texts:
        return ()
    axes = pair(config).axes
    return parse_axes(texts, tuple(axes.options) if axes else None)


def is_gated(config: pytest.Config) -> bool:
    """Whether the run must keep to anything."""
    names = ("reference", "max_slowdown", "max_syncs", "min_speedup")
    return any(config.getoption(name) is not None for name in names)


def gate(config: pytest.Config) -> tuple[Limits, Path | None]:
    """What the run must keep to, and where what it is held against lies.

    Raises:
        UsageError: an option is wrong.
        InvalidRecordError: the reference is a file without a whole record.
    """
    option = config.getoption
    reference = None if option("reference") is None else Path(option("reference"))
    if reference is not None and not reference.is_dir():
        Record.read(reference)
    slowdown = option("max_slowdown")
    limits = Limits(
        MAX_SLOWDOWN if slowdown is None else percentage("--max-slowdown", slowdown),
        None if option("max_syncs") is None else _number(config, "max_syncs", zero=True),
        None if option("min_speedup") is None else _number(config, "min_speedup"),
    )
    return limits, reference


def timing_seconds(config: pytest.Config, a_batch: float) -> float:
    """Roughly how long the rounds will take, when one batch of all loops takes `a_batch`."""
    rounds = config.getoption("rounds")
    return _number(config, "max_time") if rounds is None else int(rounds) * int(config.getoption("batches")) * a_batch


def survival_seconds(config: pytest.Config) -> float:
    """Roughly how long the runs with faults will take, on two cores at preset tiny."""
    return {"short": 40.0, "none": 0.0, "full": 3600.0}[survival(config)]


def utilisation_seconds(config: pytest.Config) -> float:
    """Roughly how long that will take, starting the processes and warming the loops up with it."""
    seconds = utilisation(config, config.getoption("preset") or "")
    return 2 * (STARTING + 1.5 * seconds) if seconds else 0.0


def is_profiled(config: pytest.Config) -> bool:
    """Whether stretches of the loops are traced."""
    return bool(config.getoption("profile"))


def profile_seconds(config: pytest.Config) -> float:
    """Roughly how long that will take, at preset paper on two cores."""
    return 60.0 if is_profiled(config) else 0.0


def sweep_seconds(config: pytest.Config) -> float:
    """Roughly how long the sizes of a sweep will take: rounds, and starting a process for each."""
    points = sum(len(axis.values) for axis in sweep(config))
    return (points * STARTING + _number(config, "max_time")) if points else 0.0


def convergence_seeds(config: pytest.Config) -> int:
    """From how many seeds both loops are trained to see how well they learn; none unless asked for."""
    return int(config.getoption("convergence") or 0)


def convergence_seconds(config: pytest.Config) -> float:
    """Roughly how long that will take, on two cores at preset tiny."""
    return 60.0 * convergence_seeds(config)


def ladder_limits(config: pytest.Config) -> LadderLimits:
    """How long the rungs of the ladder are timed."""
    rounds = config.getoption("rounds")
    return LadderLimits(rounds=None if rounds is None else int(rounds), max_time=_number(config, "max_time"))


def ladder_seconds(config: pytest.Config) -> float:
    """Roughly how long the ladder will take, on two cores at preset paper."""
    return 800.0 + timing_seconds(config, 1.0) if config.getoption("ladder") else 0.0


def results(config: pytest.Config) -> Path:
    """The folder for records."""
    return Path(config.getoption("results"))


def _loop_options(config: pytest.Config) -> dict[str, str]:
    """What a factory finds in the options of its LoopSpec."""
    script = config.getoption("script")
    return {"script": script} if script else {}


def _whole_number(config: pytest.Config, name: str, least: int) -> None:
    text = config.getoption(name)
    if text is not None and (not text.isdecimal() or int(text) < least):
        raise UsageError(f"--{name} {text!r}: must be a whole number of at least {least}")


def _number(config: pytest.Config, name: str, zero: bool = False) -> float:
    text = config.getoption(name)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 or (zero and value == 0)) or math.isinf(value):
        least = "of at least zero" if zero else "above zero"
        raise UsageError(f"--{name.replace('_', '-')} {text!r}: must be a number {least}")
    return value


def _has_gpu(config: pytest.Config) -> None:
    """Last of all that is looked at: it starts TensorFlow."""
    if config.getoption("require_gpu") and not config.getoption("collectonly"):
        from bench.machine import gpu

        print(f"--require-gpu: TensorFlow computes on {gpu.require()}")


def _writable(folder: Path) -> None:
    """Tries it, and leaves no trace: a run that stops early should not have made a folder."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UsageError(f"--results {folder}: cannot be written ({error.strerror})") from None
