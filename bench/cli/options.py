"""The table of options: `pytest bench/` and the commands of `loop-bench` declare theirs from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from loop_bench.experiments.run.stages import LEAST_ROUNDS, MOST_ROUNDS, TOTAL
from loop_bench.records.gate import MAX_SLOWDOWN
from loop_bench.settings import Settings

UTILISATION_SECONDS = 3.0
UTILISATION_SECONDS_AT = {"tiny": 1.0}
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

REPLICAS = Option(
    "--replicas",
    "devices that share each batch, data-parallel: GPUs, or logical devices of the CPU where there is none; the loops "
    "find it in the options of their LoopSpec",
    WholeNumber(1),
    default_words="1",
)
"""Goes to the loops as well, and is an option of the same commands."""

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
    REPLICAS,
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

ON = Option(
    "--on",
    "run the trials of survival (the full matrix), convergence, sweep and ladder on a cluster: the address of a Dask "
    "scheduler, such as tcp://10.0.0.1:8786, or local:N for N workers on this machine; a run's own comparison stays in "
    "its process",
    default_words="processes on this machine",
    metavar="ADDRESS",
)

OF_COMMANDS = (
    Option("--workers", "processes at a time", WholeNumber(1), default_words="one a core; on a GPU, one"),
    ON,
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
    default_words=f"{UTILISATION_SECONDS:g}; "
    + ", ".join(f"{value:g} at preset {name}" for name, value in UTILISATION_SECONDS_AT.items()),
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


def of_run() -> tuple[Option, ...]:
    """The options of `pytest bench/`, in order, without the gate's."""
    switches = (each.switch.option for each in registry.experiments() if each.switch)
    common = (BEFORE_OF_RUN if option.name == BEFORE_OF_RUN.name else option for option in COMMON)
    return (*common, *homes.OPTIONS, SURVIVAL, UTILISATION, *switches, ON, REQUIRE_GPU, RESULTS)


def of_command(experiment: Experiment) -> tuple[Option, ...]:
    """The options of an experiment's command, in order."""
    table, found = {option.name: option for option in (*COMMON, *OF_COMMANDS)}, []
    for each in experiment.options:
        name, changes = each if isinstance(each, tuple) else (each, {})
        found.append(name if isinstance(name, Option) else table[name].but(**changes))
        if name == "--script":
            found.extend((*OF_SCRIPT, REPLICAS))
    return (*found, FULL_TRACE)


def words(option: Option) -> str:
    """An option's help, filled in."""
    return option.help.format(presets=", ".join(builtin.PRESETS), axes=", ".join(builtin.AXES))


def defaults(experiment: Experiment) -> dict[str, Any]:
    """The values of an experiment's options where none is given."""
    return {
        option.key: False if isinstance(option.kind, Flag) else option.read(option.default)
        for option in of_command(experiment)
    }


def loop_options(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a factory finds in the options of its LoopSpec.

    Raises:
        UsageError: it is said how a script is written, and there is none.
    """
    written = [option.key for option in OF_SCRIPT]
    given = {name: found[name] for name in ("script", *written) if found.get(name) is not None}
    for name in given:
        if "script" not in given:
            raise UsageError(f"--{name} {given[name]!r}: says how a script is written; needs --script as well")
    return given if found.get(REPLICAS.key) is None else {**given, REPLICAS.key: found[REPLICAS.key]}


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
