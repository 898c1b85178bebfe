"""The table of options: `pytest bench/` and the commands of `loop-bench` declare theirs from it."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from loop_bench import builtin
from loop_bench.cli import homes
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.experiment import (
    Asked,
    Choice,
    ExistingFile,
    Experiment,
    Flag,
    Folder,
    Option,
    Percent,
    RealNumber,
    WholeNumber,
)
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.stages import LEAST_ROUNDS, MOST_ROUNDS, TOTAL
from loop_bench.pair import Pair
from loop_bench.records.gate import MAX_SLOWDOWN, Limits
from loop_bench.settings import Settings

_UTILISATION = 3.0
_UTILISATION_OF = {"tiny": 1.0}
"""Seconds of undisturbed training, unless asked for otherwise; by preset where it is not the first."""

DEFAULT_RESULTS = "results/runs"

OF_SCRIPT = (
    Option(
        "--columns",
        "which column of the script is its character, its scene and its text, where they are called something else",
        metavar="ROLE=COLUMN,...",
    ),
    Option(
        "--delimiter",
        f"between the script's columns: a character, or {', '.join(builtin.DELIMITERS)}",
        default_words="comma; in .tsv tab",
    ),
    Option("--encoding", "of the script, such as latin-1, windows-1252, utf-16", default_words="utf-8"),
)
"""How a script is written: they go to the loops with it, and are options of every command that has `--script`."""

COMMON = (
    Option("--preset", "size of the work: {presets}", default_words="by the device"),
    Option("--batches", "batches of each loop in a round", WholeNumber(1), "10"),
    Option(
        "--precision",
        "rounds go on until the interval of before/after is narrower than this",
        Percent(),
        "3%",
        command_metavar="PERCENT",
    ),
    Option(
        "--max-time",
        "or until so many seconds of rounds are over",
        RealNumber(least=1),
        default_words=f"what the rest leaves of {TOTAL:g}, {LEAST_ROUNDS:g} at least; in a gate {MOST_ROUNDS:g}",
    ),
    Option("--rounds", "exactly so many rounds instead", WholeNumber(1)),
    Option("--seed", "of weights, data and draws", WholeNumber(0), "0"),
    Option("--script", "train on this script, CSV, TSV or JSON Lines, instead of synthetic lines", ExistingFile()),
    *OF_SCRIPT,
    Option("--before", "module:factory of the loop before", default=builtin.BEFORE, command_metavar="MODULE:FACTORY"),
    Option("--after", "module:factory of the loop after", default=builtin.AFTER, command_metavar="MODULE:FACTORY"),
)
"""Options of the run and of commands."""

BEFORE_OF_RUN = Option(
    "--before",
    "module:factory of the loop before",
    default_words=f"{builtin.BEFORE}; where arms live in different places, the factory of --after",
    command_metavar="MODULE:FACTORY",
)
"""Whether it is given makes a difference there."""

OF_COMMANDS = (
    Option("--workers", "processes at a time", WholeNumber(1), default_words="one a core; on a GPU, one"),
    Option("--time-limit", "seconds for a run; one that takes longer is ended", RealNumber(least=1)),
)
"""Options of several commands."""

FULL_TRACE = Option("--full-trace", "show the whole traceback of what ends the command", Flag())
"""Option of every command that runs loops; pytest has one of this name."""

SURVIVAL = Option(
    "--survival",
    "faults that the loops are put through: short (a few, from one seed, the built-in loops at preset "
    f"{builtin.FAULTS_PRESET}), none, or full: the whole matrix of faults, seeds and protections at the run's preset, "
    "into RESULTS/survival-PRESET, where an interrupted one is gone on with",
    Choice("short", "full", "none"),
    "short",
)

UTILISATION = Option(
    "--utilisation",
    "watch each loop train for so long in a process of its own: utilisation, memory, power, clocks and copies of a "
    "GPU, CPU time and memory without one; 0: do not",
    RealNumber(zero=True),
    default_words=f"{_UTILISATION:g}; "
    + ", ".join(f"{value:g} at preset {name}" for name, value in _UTILISATION_OF.items()),
    metavar="SECONDS",
)

REQUIRE_GPU = Option(
    "--require-gpu",
    "end at once, with exit code 2, unless TensorFlow computes on a GPU: for runners that should have one",
    Flag(),
)

RESULTS = Option("--results", "folder for records", Folder(), DEFAULT_RESULTS)

REFERENCE = Option(
    "--reference",
    "hold ms/batch against this record, or the one that `accept` has left in this folder for this machine",
    Folder(),
    default_words="the loop before, of the same run",
)
MAX_SLOWDOWN_OPTION = Option(
    "--max-slowdown",
    "more ms/batch than this is too much",
    Percent(),
    default_words=f"{MAX_SLOWDOWN:.0%} in any gate",
    command_metavar="PERCENT",
)
MAX_SYNCS = Option("--max-syncs", "host syncs a batch allowed to the loop after", RealNumber(zero=True))
MIN_SPEEDUP = Option("--min-speedup", "time before / time after that is wanted", RealNumber())

MAX_RETRACES = Option("--max-retraces", "traces of functions allowed to the loop after once it is warm", WholeNumber(0))

GATE = (REFERENCE, MAX_SLOWDOWN_OPTION, MAX_SYNCS, MIN_SPEEDUP, MAX_RETRACES)
"""Limits for a run."""

_PAIR: pytest.StashKey[Pair] = pytest.StashKey()


def of_run() -> tuple[Option, ...]:
    """The options of `pytest bench/`, in order, without the gate's."""
    switches = (each.switch.option for each in registry.experiments() if each.switch)
    common = (BEFORE_OF_RUN if option.name == BEFORE_OF_RUN.name else option for option in COMMON)
    return (*common, *homes.OPTIONS, SURVIVAL, UTILISATION, *switches, REQUIRE_GPU, RESULTS)


def of_command(experiment: Experiment) -> tuple[Option, ...]:
    """The options of an experiment's command, in order."""
    table, found = {option.name: option for option in (*COMMON, *OF_COMMANDS)}, []
    for each in experiment.options:
        name, changes = each if isinstance(each, tuple) else (each, {})
        found.append(name if isinstance(name, Option) else table[name].but(**changes))
        if name == "--script":
            found.extend(OF_SCRIPT)
    return (*found, FULL_TRACE)


def words(option: Option) -> str:
    """An option's help, filled in."""
    return option.help.format(presets=", ".join(builtin.PRESETS), axes=", ".join(builtin.AXES))


# For pytest


def add(parser: pytest.Parser) -> None:
    """Declares the options. All are texts: what is wrong with one is said by `check`, in one line."""
    group = parser.getgroup("bench", "comparing two training loops")
    for option in of_run():
        _declare(group, option)
    gate_group = parser.getgroup(
        "bench gate",
        "a limit for the run; the exit code says whether it was kept: "
        "0 yes, 1 no, 2 wrong use, 3 the run cannot tell, 4 the run is invalid",
    )
    for option in GATE:
        _declare(gate_group, option)


def _declare(group: Any, option: Option) -> None:
    default = option.default_words if option.default is None else option.default
    said = f" (default: {default})" if default else ""
    how: dict[str, Any] = {"help": (words(option) + said).replace("%", "%%")}
    if isinstance(option.kind, Flag):
        how["action"] = "store_true"
    else:
        how["default"] = option.default
        if option.repeated:
            how["action"] = "append"
        if option.metavar:
            how["metavar"] = option.metavar
    group.addoption(option.name, **how)


def asked(config: pytest.Config) -> Asked:
    """The values of all options of a run, by their keys.

    Raises:
        UsageError: a text stands for none.
    """
    found = {option.key: option.read(config.getoption(option.key)) for option in (*of_run(), *GATE)}
    found["before"] = found["before"] or (found["after"] if homes.differ(found) else builtin.BEFORE)
    return found


def asked_of(config: pytest.Config, experiment: Experiment) -> Asked | None:
    """The values of an experiment's options in a run; None where it is not asked for.

    What the run and the experiment's command both have is as the run has it.
    """
    found = asked(config)
    value = found[experiment.switch.option.key] if experiment.switch else None
    if not value:
        return None
    found = {**found, "max_time": found["max_time"] or MOST_ROUNDS}
    return {**defaults(experiment), **found, **experiment.in_run(value)}


def check(config: pytest.Config) -> None:
    """Looks at what can be wrong before anything slow is begun.

    Raises:
        UsageError: an option is wrong; it says which and how.
    """
    found = asked(config)
    gate(config)
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        raise UsageError("-n: measurements would disturb each other; run bench/ in one process")
    elsewhere = homes.homes(found)
    loops, options = pair(config), loop_options(found)
    loops.check(found["preset"], found["seed"], options)
    for experiment in registry.experiments():
        wanted = asked_of(config, experiment)
        if wanted is not None and elsewhere and experiment.switch:
            option = experiment.switch.option.name
            raise UsageError(f"{option}: is for loops that share a process, and these have some of their own")
        if wanted is not None:
            experiment.check(loops, wanted, options)
            experiment.prepare(loops, settings_of(wanted, found["preset"] or "paper"), wanted)
    _writable(found["results"])
    _has_gpu(config)


def pair(config: pytest.Config) -> Pair:
    """Both loops, and what may be asked of them."""
    found = config.stash.get(_PAIR, None)
    if found is None:
        said = asked(config)
        found = config.stash[_PAIR] = builtin.find(said["before"], said["after"])
    return found


def settings(config: pytest.Config) -> Settings:
    """The settings that the options, once checked, stand for; starts TensorFlow to choose a default preset."""
    found = asked(config)
    return settings_of(found, found["preset"] or builtin.default_preset())


def utilisation(config: pytest.Config, preset: str) -> float:
    """For how many seconds each loop is watched; 0: not at all.

    Raises:
        UsageError: not a number, or a negative one.
    """
    value = UTILISATION.read(config.getoption("utilisation"))
    return _UTILISATION_OF.get(preset, _UTILISATION) if value is None else float(value)


def is_gated(config: pytest.Config) -> bool:
    """Whether the run must keep to anything."""
    return any(config.getoption(option.key) is not None for option in GATE)


def gate(config: pytest.Config) -> tuple[Limits, Path | None]:
    """What the run must keep to, and where what it is held against lies.

    Raises:
        UsageError: an option is wrong.
        InvalidRecordError: the reference is a file without a whole record.
    """
    reference, slowdown, syncs, speedup, retraces = (option.read(config.getoption(option.key)) for option in GATE)
    if reference is not None and not reference.is_dir():
        Record.read(reference)
    return Limits(MAX_SLOWDOWN if slowdown is None else slowdown, syncs, speedup, retraces), reference


def results(config: pytest.Config) -> Path:
    """The folder for records."""
    return Path(config.getoption("results"))


def _has_gpu(config: pytest.Config) -> None:
    """Last of all that is looked at: it imports TensorFlow."""
    if config.getoption("require_gpu") and not config.getoption("collectonly"):
        from loop_bench.machine import gpu

        print(f"--require-gpu: TensorFlow computes on {gpu.require()}")


def _writable(folder: Path) -> None:
    """Tries it, and leaves no trace: a run that stops early should not have made a folder."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UsageError(f"--results {folder}: cannot be written ({error.strerror})") from None


# For commands


def typed(option: Option) -> Any:
    """An option as Typer has it in an annotation."""
    said = words(option)
    said = f"{said[0].upper()}{said[1:]}."
    if option.default is None and option.default_words:
        said = f"{said} Default: {option.default_words}."
    how: dict[str, Any] = {"help": said, "metavar": option.command_metavar or option.metavar}
    if isinstance(option.kind, WholeNumber | RealNumber):
        how["min"] = option.kind.least
    return typer.Option(option.name, *option.also, **how)


def signature(options: Iterable[Option]) -> inspect.Signature:
    """The signature of a command with some options, from which Typer makes its interface."""
    return inspect.Signature([_parameter(option) for option in options])


def _parameter(option: Option) -> inspect.Parameter:
    kind: Any = {WholeNumber: int, RealNumber: float, Flag: bool, Folder: Path, ExistingFile: Path}.get(
        type(option.kind), str
    )
    default: Any = option.default
    if isinstance(option.kind, Flag):
        default = False
    elif option.repeated:
        kind = list[str] | None
    elif default is None:
        kind = kind | None
    return inspect.Parameter(
        option.key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, typed(option)]
    )


def defaults(experiment: Experiment) -> dict[str, Any]:
    """The values of an experiment's options where none is given."""
    return {
        option.key: False if isinstance(option.kind, Flag) else option.read(option.default)
        for option in of_command(experiment)
    }


# For both


def loop_options(found: Mapping[str, Any]) -> dict[str, str]:
    """What a factory finds in the options of its LoopSpec.

    Raises:
        UsageError: it is said how a script is written, and there is none.
    """
    written = [option.key for option in OF_SCRIPT]
    given = {name: found[name] for name in ("script", *written) if found.get(name) is not None}
    for name in given:
        if "script" not in given:
            raise UsageError(f"--{name} {given[name]!r}: says how a script is written; needs --script as well")
    return given


def settings_of(found: Asked, preset: str) -> Settings:
    """The settings that values of options stand for; what there is no option of has its default."""
    names = ("rounds", "precision", "max_time")
    return Settings(
        before=found["before"],
        after=found["after"],
        preset=preset,
        seed=found.get("seed", 0),
        batches=found.get("batches", 1),
        **{"options": loop_options(found), **_elsewhere(found)},
        **{name: found[name] for name in names if found.get(name) is not None},
    )


def _elsewhere(found: Asked) -> dict[str, Any]:
    """The fields of settings that are of loops in processes of their own; none of others."""
    if "against" not in found or not (lives := homes.homes(found)):
        return {}
    written = loop_options(found)
    if "script" in written:  # the same data for both, wherever they live
        written["script"] = str(Path(written["script"]).absolute())
    return {"homes": lives, "processes": found["processes"] or homes.PROCESSES, "options": written}


def groups(found: Asked) -> int:
    """Groups of processes in which loops are timed, one after the other."""
    return int(_elsewhere(found).get("processes", 1))
