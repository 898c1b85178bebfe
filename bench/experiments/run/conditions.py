"""The conditions of a run, without which its tables mean nothing: loops, settings, equivalence, machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loop_bench.experiments.equivalence.report import sentence
from loop_bench.experiments.run.figures import Comparison, Timing
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.stages import Stage
from loop_bench.home import Residence
from loop_bench.machine import environment
from loop_bench.report import machines
from loop_bench.report.report import Fact
from loop_bench.settings import ARMS
from loop_bench.timing import samples
from loop_bench.timing.stopping import precision_of_group


def facts(record: Record, found: Comparison) -> Iterator[Fact]:
    """The conditions of a record, the machine and its versions last."""
    yield from _loops(record)
    settings = record.settings
    options = "".join(f", {name}={value}" for name, value in settings.options.items())
    yield Fact("settings", f"preset {settings.preset}, seed {settings.seed}{options}", is_brief=True)
    yield Fact("rounds", _length(record, found.timing), is_brief=True)
    if temperatures := _temperatures(found):
        yield Fact("temperature", temperatures)
    if record.equivalence:
        yield Fact("equivalence", sentence(record.equivalence))
    if not record.environment["gpus"]:
        yield Fact("host sync", "without a GPU a read costs hardly anything: it does not wait for queued work")
    if record.stages:
        yield Fact("duration", _duration(record.stages))
    yield from _machine(record)


def _loops(record: Record) -> Iterator[Fact]:
    """The factories; of loops in processes of their own, where each has lived, and on what."""
    if not record.settings.homes:
        yield from (Fact(arm, getattr(record.settings, arm)) for arm in ARMS)
        return
    residences = {arm: record.arms[arm].residence for arm in ARMS}
    for arm, home in residences.items():
        if home is not None:
            software = environment.software(home.versions, home.python)
            set_for = f"; {home.settings}" if home.settings else ""
            where = f"{record.arms[arm].factory} of {home.code}, {software}{set_for}"
            yield Fact(arm, where, is_brief=True)
            yield from (Fact(arm, note) for note in home.notes)
    before, after = residences.values()
    if before and after and (changes := _changes(before, after)):
        yield Fact("before → after", ", ".join(changes))


def _changes(before: Residence, after: Residence) -> list[str]:
    """Versions and variables in which two residences differ, as `TensorFlow 2.20.0 → 2.21.0`."""

    def named(home: Residence) -> dict[str, str]:
        return {**home.versions, "Python": home.python, **home.environment}

    one, other = named(before), named(after)
    return [
        f"{environment.TITLES.get(name, name)} {one.get(name, 'none')} → {other.get(name, 'none')}"
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]


def _temperatures(found: Comparison) -> str:
    """The temperature of each loop that has one, at the start and at the end of the timed batches."""
    known = zip(ARMS, (found.before.temperature, found.after.temperature), strict=True)
    return ", ".join(f"{arm} {pair[0]:.2f} → {pair[1]:.2f}" for arm, pair in known if pair)


def _length(record: Record, timing: Timing | None) -> str:
    settings, ended = record.settings, record.rounds_ended
    if ended is None or timing is None:
        return "nothing was timed"
    ratio = "the ratio in each process" if settings.homes else "the ratio"
    why = {
        "precise": f"until the interval of {ratio} was narrower than {precision_of_group(settings):.1%}",
        "out of time": f"until {settings.max_time:.3g} s were over",
        "as many as asked for": "as many as were asked for",
    }[ended]
    groups = samples.processes(record.rounds)
    turns = f"{groups} processes of each, one after the other" if groups > 1 else "a process of each"
    processes = f" in {turns}" if settings.homes else ""
    return (
        f"{len(record.rounds)} interleaved rounds of {settings.batches} batches a loop{processes}, {why}; "
        f"time between blocks: {timing.overhead:.1%} of measured time"
    )


def _duration(stages: Mapping[Stage, float]) -> str:
    parts = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in stages.items())
    return f"{sum(stages.values()):.0f} s: {parts}"


def _machine(record: Record) -> Iterator[Fact]:
    """Machine and versions; of loops that trained together on several machines, each of them."""
    recorded: dict[str, Any] = record.environment
    if record.settings.homes:
        yield Fact("machine", environment.hardware(recorded), is_brief=True)
    elif record.machines:
        chief, *workers = map(environment.machine, record.machines)
        yield Fact("machines", f"{len(record.machines)} that trained together", is_brief=True)
        yield Fact("chief", f"{chief}; it measured", is_brief=True)
        for index, worker in enumerate(workers, 1):
            yield Fact(f"worker {index}", "the same" if worker == chief else worker)
    else:
        yield from machines.of_machine(recorded)
    yield from machines.commit(recorded)
