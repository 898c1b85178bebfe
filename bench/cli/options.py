"""The table of options, from which `pytest bench/` and the commands of `loop-bench` declare theirs."""

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
"""Default seconds of the telemetry run of each loop; presets not named use UTILISATION_SECONDS."""

DEFAULT_RESULTS = "results/runs"

OF_SCRIPT = (
    Option(
        "--columns",
        "names of the script's columns for character, scene and text, where they differ from the defaults",
        metavar="ROLE=COLUMN,...",
    ),
    Option(
        "--delimiter",
        f"separator of the script's columns: a character, or {', '.join(builtin.DELIMITERS)}",
        default_words="comma; in .tsv tab",
    ),
    Option("--encoding", "encoding of the script, such as latin-1, windows-1252, utf-16", default_words="utf-8"),
)
"""Format of the script; passed to the loops, and available in every command that has `--script`."""

REPLICAS = Option(
    "--replicas",
    "devices that share each batch, data-parallel: GPUs, or logical devices of the CPU on a machine without one; "
    "passed to the loops in the options of their LoopSpec",
    WholeNumber(1),
    default_words="1",
)
"""Number of data-parallel replicas; passed to the loops, and available in every command that has `--script`."""

COMMON = (
    Option("--preset", "size of the work: {presets}", default_words="chosen by the device"),
    Option("--batches", "batches of each loop in a round", WholeNumber(1), "10"),
    Option(
        "--precision",
        "time rounds until the confidence interval of before/after is narrower than this",
        Percent(),
        "3%",
        command_metavar="PERCENT",
    ),
    Option(
        "--max-time",
        "time rounds for at most this many seconds",
        RealNumber(least=1),
        default_words=f"{TOTAL:g} less what the other stages take, {LEAST_ROUNDS:g} at least; {MOST_ROUNDS:g} with a "
        "gate",
    ),
    Option("--rounds", "time exactly this many rounds, whatever --precision and --max-time say", WholeNumber(1)),
    Option("--seed", "seed of weights, data and random draws", WholeNumber(0), "0"),
    Option("--script", "train on this script (CSV, TSV or JSON Lines) instead of synthetic lines", ExistingFile()),
    *OF_SCRIPT,
    REPLICAS,
    Option(
        "--before",
        "factory of the loop before, as module:factory",
        default=builtin.BEFORE,
        command_metavar="MODULE:FACTORY",
    ),
    Option(
        "--after",
        "factory of the loop after, as module:factory",
        default=builtin.AFTER,
        command_metavar="MODULE:FACTORY",
    ),
)
"""Options that the run shares with the experiments' commands."""

BEFORE_OF_RUN = Option(
    "--before",
    "factory of the loop before, as module:factory",
    default_words=f"{builtin.BEFORE}; if the arms' environments differ, the factory of --after",
    command_metavar="MODULE:FACTORY",
)
"""`--before` of a run: without a default value, because the default depends on the environments of the arms."""

ON = Option(
    "--on",
    "run the trials of survival (the full matrix), convergence, sweep and ladder on a cluster: the address of a Dask "
    "scheduler, such as tcp://10.0.0.1:8786, or local:N for N workers on this machine; the timed comparison of a run "
    "stays in its own process",
    default_words="processes on this machine",
    metavar="ADDRESS",
)

OF_COMMANDS = (
    Option("--workers", "processes at a time", WholeNumber(1), default_words="one per core; with a GPU, one"),
    ON,
    Option("--time-limit", "seconds allowed for each run; a run that takes longer is ended", RealNumber(least=1)),
)
"""Options that several experiments' commands share, and a run does not have."""

FULL_TRACE = Option("--full-trace", "show the whole traceback of the error that ends the command", Flag())
"""Traceback option of every command that runs loops; pytest has its own option of this name."""

SURVIVAL = Option(
    "--survival",
    "faults injected into the loops: short (a few faults, one seed; the built-in loops at preset "
    f"{builtin.FAULTS_PRESET}), none, or full (the whole matrix of faults, seeds and protections at the run's preset, "
    "in RESULTS/survival-PRESET; an interrupted run resumes there)",
    Choice("short", "full", "none"),
    "short",
)

UTILISATION = Option(
    "--utilisation",
    "length of the telemetry run, in which each loop trains in a process of its own: utilisation, memory, power, "
    "clocks and copies of a GPU; without one, CPU time and memory; 0: no telemetry",
    RealNumber(zero=True),
    default_words=f"{UTILISATION_SECONDS:g}; "
    + ", ".join(f"{value:g} at preset {name}" for name, value in UTILISATION_SECONDS_AT.items()),
    metavar="SECONDS",
)

REQUIRE_GPU = Option(
    "--require-gpu",
    "end with exit code 2 before measuring unless TensorFlow computes on a GPU; for CI runners that should have one",
    Flag(),
)

RESULTS = Option("--results", "folder for records", Folder(), DEFAULT_RESULTS)

REFERENCE = Option(
    "--reference",
    "compare ms/batch with this record, or with the one that `accept` wrote to this folder for this machine",
    Folder(),
    default_words="the loop before in the same run",
)
MAX_SLOWDOWN_OPTION = Option(
    "--max-slowdown",
    "largest increase in ms/batch that passes",
    Percent(),
    default_words=f"{MAX_SLOWDOWN:.0%} if any gate option is given",
    command_metavar="PERCENT",
)
MAX_SYNCS = Option("--max-syncs", "largest number of host syncs per batch of the loop after", RealNumber(zero=True))
MIN_SPEEDUP = Option("--min-speedup", "smallest ratio of time before / time after that passes", RealNumber())

MAX_RETRACES = Option("--max-retraces", "largest number of retraces of the loop after, once it is warm", WholeNumber(0))

GATE = (REFERENCE, MAX_SLOWDOWN_OPTION, MAX_SYNCS, MIN_SPEEDUP, MAX_RETRACES)
"""Options of the gate; giving any of them gates the run."""


def of_run() -> tuple[Option, ...]:
    """The options of `pytest bench/`, in order, without those of the gate."""
    switches = (each.switch.option for each in registry.experiments() if each.switch)
    common = (BEFORE_OF_RUN if option.name == BEFORE_OF_RUN.name else option for option in COMMON)
    return (*common, *homes.OPTIONS, SURVIVAL, UTILISATION, *switches, ON, REQUIRE_GPU, RESULTS)


def of_command(experiment: Experiment) -> tuple[Option, ...]:
    """The options of an experiment's command, in order."""
    table, declared = {option.name: option for option in (*COMMON, *OF_COMMANDS)}, []
    for entry in experiment.options:
        name, changes = entry if isinstance(entry, tuple) else (entry, {})
        declared.append(name if isinstance(name, Option) else table[name].but(**changes))
        if name == "--script":
            declared.extend((*OF_SCRIPT, REPLICAS))
    return (*declared, FULL_TRACE)


def words(option: Option) -> str:
    """An option's help, with the names of presets and axes filled in."""
    return option.help.format(presets=", ".join(builtin.PRESETS), axes=", ".join(builtin.AXES))


def defaults(experiment: Experiment) -> dict[str, Any]:
    """The default values of an experiment's options, by their keys."""
    return {
        option.key: False if isinstance(option.kind, Flag) else option.read(option.default)
        for option in of_command(experiment)
    }


def loop_options(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a LoopSpec, which a loop's factory receives.

    Raises:
        UsageError: an option of the script's format is given without `--script`.
    """
    format_keys = [option.key for option in OF_SCRIPT]
    given = {name: asked[name] for name in ("script", *format_keys) if asked.get(name) is not None}
    for name in given:
        if "script" not in given:
            raise UsageError(f"--{name} {given[name]!r}: says how a script is written; needs --script as well")
    return given if asked.get(REPLICAS.key) is None else {**given, REPLICAS.key: asked[REPLICAS.key]}


def settings_of(asked: Asked, preset: str) -> Settings:
    """The settings that the values of options stand for; a field without an option keeps its default."""
    names = ("rounds", "precision", "max_time")
    return Settings(
        before=asked["before"],
        after=asked["after"],
        preset=preset,
        seed=asked.get("seed", 0),
        batches=asked.get("batches", 1),
        **{"options": loop_options(asked), **_separate_processes(asked)},
        **{name: asked[name] for name in names if asked.get(name) is not None},
    )


def _separate_processes(asked: Asked) -> dict[str, Any]:
    """The fields of settings for loops in processes of their own; empty for loops that share the run's process."""
    if "against" not in asked or not (arm_homes := homes.homes(asked)):
        return {}
    given = loop_options(asked)
    if "script" in given:  # absolute, because the arms may run in different folders and must read the same data
        given["script"] = str(Path(given["script"]).absolute())
    return {"homes": arm_homes, "processes": asked["processes"] or homes.PROCESSES, "options": given}


def groups(asked: Asked) -> int:
    """The number of groups of processes in which the loops are timed, one group after the other."""
    return int(_separate_processes(asked).get("processes", 1))
