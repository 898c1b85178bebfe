"""The options of `pytest bench/`: declared, read and checked."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from loop_bench import builtin
from loop_bench.cli import homes, options
from loop_bench.cluster import address
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.experiment import Asked, Experiment, Flag, Option
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.stages import MOST_ROUNDS
from loop_bench.multiworker.task import task
from loop_bench.pair import Pair
from loop_bench.records.gate import MAX_SLOWDOWN, Limits
from loop_bench.settings import Settings

_PAIR: pytest.StashKey[Pair] = pytest.StashKey()


def add(parser: pytest.Parser) -> None:
    """Declares the options, all as texts: `check` validates them, so that an error is one line."""
    group = parser.getgroup("bench", "comparing two training loops")
    for option in options.of_run():
        _declare(group, option)
    gate_group = parser.getgroup(
        "bench gate",
        "limits for the run; exit code: 0 within all limits, 1 over a limit, 2 wrong use, 3 inconclusive, 4 invalid",
    )
    for option in options.GATE:
        _declare(gate_group, option)


def _declare(group: Any, option: Option) -> None:
    default = option.default_words if option.default is None else option.default
    default_text = f" (default: {default})" if default else ""
    settings: dict[str, Any] = {"help": (options.words(option) + default_text).replace("%", "%%")}
    if isinstance(option.kind, Flag):
        settings["action"] = "store_true"
    else:
        settings["default"] = option.default
        if option.repeated:
            settings["action"] = "append"
        if option.metavar:
            settings["metavar"] = option.metavar
    group.addoption(option.name, **settings)


def asked(config: pytest.Config) -> Asked:
    """The values of all options of a run, by their keys.

    Raises:
        UsageError: the text of an option is not a valid value.
    """
    values = {option.key: option.read(config.getoption(option.key)) for option in (*options.of_run(), *options.GATE)}
    values["before"] = values["before"] or (values["after"] if homes.differ(values) else builtin.BEFORE)
    return values


def asked_of(config: pytest.Config, experiment: Experiment) -> Asked | None:
    """The values of an experiment's options in a run; None: the run does not include the experiment.

    Options that the experiment's command shares with the run have the run's values.
    """
    of_run = asked(config)
    value = of_run[experiment.switch.option.key] if experiment.switch else None
    if not value:
        return None
    of_run = {**of_run, "max_time": of_run["max_time"] or MOST_ROUNDS}
    return {**options.defaults(experiment), **of_run, **experiment.in_run(value)}


def check(config: pytest.Config) -> None:
    """Validates the options and their combinations before anything slow begins.

    Raises:
        UsageError: an option is wrong; the message names it and what is expected.
    """
    values = asked(config)
    gate(config)
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        raise UsageError("-n: parallel tests would disturb the timing; run bench/ in one process")
    arm_homes = homes.homes(values)
    own_task = task()
    if own_task and not own_task.is_chief:
        raise UsageError(f"TF_CONFIG: this machine is {own_task.title}, not the chief; run loop-bench worker here")
    if own_task and arm_homes:
        raise UsageError(
            "TF_CONFIG names several machines, on which both loops share a process; give no options that put an arm in "
            "a process of its own"
        )
    loops, loop_options = pair(config), options.loop_options(values)
    loops.check(values["preset"], values["seed"], loop_options)
    _check_place(values, bool(arm_homes))
    for experiment in registry.experiments():
        of_experiment = asked_of(config, experiment)
        if of_experiment is not None and own_task and experiment.switch:
            raise UsageError(f"{experiment.switch.option.name}: runs on one machine only, and TF_CONFIG names several")
        if of_experiment is not None and arm_homes and experiment.switch:
            option = experiment.switch.option.name
            raise UsageError(f"{option}: needs loops that share a process, and these arms have processes of their own")
        if of_experiment is not None:
            experiment.check(loops, of_experiment, loop_options)
            experiment.prepare(loops, options.settings_of(of_experiment, values["preset"] or "paper"), of_experiment)
    _writable(values["results"])
    _has_gpu(config)


def _check_place(values: Asked, separate: bool) -> None:
    """Checks that the cluster that `--on` names exists, and that an experiment of the run uses it."""
    if not (on := values["on"]):
        return
    if separate:
        raise UsageError(f"--on {on}: only for arms in this environment, and these have environments of their own")
    if not (values["survival"] == "full" or values["convergence"] or values["sweep"] or values["ladder"]):
        raise UsageError(
            f"--on {on}: needs --survival full, --convergence, --sweep or --ladder, whose trials run on the cluster"
        )
    address.check(on)


def pair(config: pytest.Config) -> Pair:
    """The pair of loops that a run compares; found once and kept."""
    loops = config.stash.get(_PAIR, None)
    if loops is None:
        values = asked(config)
        loops = config.stash[_PAIR] = builtin.find(values["before"], values["after"])
    return loops


def settings(config: pytest.Config) -> Settings:
    """The settings that the checked options stand for; starts TensorFlow if it must choose a default preset."""
    values, own_task = asked(config), task()
    single = options.settings_of(values, values["preset"] or builtin.default_preset())
    return single.model_copy(update={"machines": len(own_task.addresses)}) if own_task else single


def utilisation(config: pytest.Config, preset: str) -> float:
    """Seconds of each loop's telemetry run; 0: none.

    Raises:
        UsageError: the option is not a number, or negative.
    """
    value = options.UTILISATION.read(config.getoption("utilisation"))
    return options.UTILISATION_SECONDS_AT.get(preset, options.UTILISATION_SECONDS) if value is None else float(value)


def is_gated(config: pytest.Config) -> bool:
    """Whether any option of the gate is given."""
    return any(config.getoption(option.key) is not None for option in options.GATE)


def gate(config: pytest.Config) -> tuple[Limits, Path | None]:
    """The limits of the gate and the path of the reference; None: the reference is the run's own loop before.

    Raises:
        UsageError: an option is wrong.
        InvalidRecordError: the reference is a file without a complete record.
    """
    values = (option.read(config.getoption(option.key)) for option in options.GATE)
    reference, slowdown, syncs, speedup, retraces = values
    if reference is not None and not reference.is_dir():
        Record.read(reference)
    return Limits(MAX_SLOWDOWN if slowdown is None else slowdown, syncs, speedup, retraces), reference


def results(config: pytest.Config) -> Path:
    """The folder that records are written to."""
    return Path(config.getoption("results"))


def _has_gpu(config: pytest.Config) -> None:
    """Checks `--require-gpu`; the last check, because it imports TensorFlow."""
    if config.getoption("require_gpu") and not config.getoption("collectonly"):
        from loop_bench.machine import gpu

        print(f"--require-gpu: TensorFlow computes on {gpu.require()}")


def _writable(folder: Path) -> None:
    """Checks that a folder, or its nearest existing parent, can be written; creates no folder."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UsageError(f"--results {folder}: cannot be written ({error.strerror})") from None
