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
    """Declares the options. All are texts: what is wrong with one is said by `check`, in one line."""
    group = parser.getgroup("bench", "comparing two training loops")
    for option in options.of_run():
        _declare(group, option)
    gate_group = parser.getgroup(
        "bench gate",
        "a limit for the run; the exit code says whether it was kept: "
        "0 yes, 1 no, 2 wrong use, 3 the run cannot tell, 4 the run is invalid",
    )
    for option in options.GATE:
        _declare(gate_group, option)


def _declare(group: Any, option: Option) -> None:
    default = option.default_words if option.default is None else option.default
    said = f" (default: {default})" if default else ""
    how: dict[str, Any] = {"help": (options.words(option) + said).replace("%", "%%")}
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
    found = {option.key: option.read(config.getoption(option.key)) for option in (*options.of_run(), *options.GATE)}
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
    return {**options.defaults(experiment), **found, **experiment.in_run(value)}


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
    of_several = task()
    if of_several and not of_several.is_chief:
        raise UsageError(f"TF_CONFIG: this is {of_several.title}, and the chief measures; here: loop-bench worker")
    if of_several and elsewhere:
        raise UsageError("TF_CONFIG names several machines: loops that train on them share a process on each")
    loops, written = pair(config), options.loop_options(found)
    loops.check(found["preset"], found["seed"], written)
    _check_place(found, bool(elsewhere))
    for experiment in registry.experiments():
        wanted = asked_of(config, experiment)
        if wanted is not None and of_several and experiment.switch:
            raise UsageError(f"{experiment.switch.option.name}: is of one machine, and TF_CONFIG names several")
        if wanted is not None and elsewhere and experiment.switch:
            option = experiment.switch.option.name
            raise UsageError(f"{option}: is for loops that share a process, and these have some of their own")
        if wanted is not None:
            experiment.check(loops, wanted, written)
            experiment.prepare(loops, options.settings_of(wanted, found["preset"] or "paper"), wanted)
    _writable(found["results"])
    _has_gpu(config)


def _check_place(found: Asked, elsewhere: bool) -> None:
    """Sees to it that what `--on` names is there, and that something of the run goes there."""
    if not (on := found["on"]):
        return
    if elsewhere:
        raise UsageError(f"--on {on}: is for loops of this environment, and these have one of their own")
    if not (found["survival"] == "full" or found["convergence"] or found["sweep"] or found["ladder"]):
        raise UsageError(f"--on {on}: needs --survival full, --convergence, --sweep or --ladder, whose trials go there")
    address.check(on)


def pair(config: pytest.Config) -> Pair:
    """Both loops, and what may be asked of them."""
    found = config.stash.get(_PAIR, None)
    if found is None:
        said = asked(config)
        found = config.stash[_PAIR] = builtin.find(said["before"], said["after"])
    return found


def settings(config: pytest.Config) -> Settings:
    """The settings that the options, once checked, stand for; starts TensorFlow to choose a default preset."""
    found, of_several = asked(config), task()
    made = options.settings_of(found, found["preset"] or builtin.default_preset())
    return made.model_copy(update={"machines": len(of_several.addresses)}) if of_several else made


def utilisation(config: pytest.Config, preset: str) -> float:
    """For how many seconds each loop is watched; 0: not at all.

    Raises:
        UsageError: not a number, or a negative one.
    """
    value = options.UTILISATION.read(config.getoption("utilisation"))
    return options.UTILISATION_SECONDS_AT.get(preset, options.UTILISATION_SECONDS) if value is None else float(value)


def is_gated(config: pytest.Config) -> bool:
    """Whether the run must keep to anything."""
    return any(config.getoption(option.key) is not None for option in options.GATE)


def gate(config: pytest.Config) -> tuple[Limits, Path | None]:
    """What the run must keep to, and where what it is held against lies.

    Raises:
        UsageError: an option is wrong.
        InvalidRecordError: the reference is a file without a whole record.
    """
    values = (option.read(config.getoption(option.key)) for option in options.GATE)
    reference, slowdown, syncs, speedup, retraces = values
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
