"""Comparison of two records: in which conditions they differ, and what changed as far as those allow.

Absolute ms/batch is compared only between records of the same machine, software, loops and work; the ratio of the two
loops is also compared between machines.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from loop_bench.errors import InvalidRecordError
from loop_bench.experiments.run.figures import Comparison
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.verdict import invalid
from loop_bench.home import Residence
from loop_bench.machine import processor
from loop_bench.machine.environment import TITLES
from loop_bench.machine.software import KERAS_2
from loop_bench.settings import ARMS
from loop_bench.statistics import Interval, unpaired_ratio_interval
from loop_bench.timing import samples

MACHINE = {
    "gpus": "GPU",
    "gpu_driver": "GPU driver",
    "cuda_build": "CUDA",
    "cudnn_build": "cuDNN",
    "cpu": "CPU",
    "cores": "CPU cores",
}
"""Fields of the environment that describe the machine, with their titles; the kind of CPU counts as well, see `cpu`."""

WORK = {
    "preset": "preset",
    "batches": "batches in a block",
    "options": "options",
    "machines": "machines that train together",
}
"""Settings that define the work of a batch, with their titles."""


def same_machine(one: Record, other: Record) -> bool:
    """Whether both records were made on the same kind of machine."""
    return _machine(one) == _machine(other)


def _machine(record: Record) -> dict[str, Any]:
    """The properties of a record's machine, by title."""
    plain = {title: record.environment.get(key) for key, title in MACHINE.items()}
    return {**plain, "kind of CPU": cpu(record)}


def cpu(record: Record) -> str | None:
    """The kind of CPU beyond its name, with memory pages and allocator; None: the record does not have them."""
    described = record.environment.get("processor")
    if described is None:
        return None
    settings = " ".join(f"{name}={value}" for name, value in described["allocator_settings"].items())
    memory = f"pages of {described['page_bytes']} bytes, huge ones {described['huge_pages']}"
    kind = [
        described["vendor"],
        processor.words(described),
        *described["vectors"],
        memory,
        described["allocator"],
        settings,
    ]
    return "; ".join(str(part) for part in kind if part)


def same_conditions(one: Record, other: Record) -> bool:
    """Whether ms/batch of two records can be compared: same loops, work, machine and software."""
    return not (differing_loops(one, other) or differences(one, other))


def differences(one: Record, other: Record) -> list[str]:
    """The differences in machine, software and work that make ms/batch of two records incomparable.

    The loops themselves are compared by `differing_loops`.

    Returns:
        Each as `TensorFlow 2.21.0, there 2.20.0`; empty: comparable.
    """
    differing = []
    machine, other_machine = _machine(one), _machine(other)
    for title, value in machine.items():
        differing += _difference(title, value, other_machine[title])
    versions, other_versions = one.environment.get("versions", {}), other.environment.get("versions", {})
    for key, title in TITLES.items():
        absent = "none" if key == KERAS_2 else None
        differing += _difference(title, versions.get(key, absent), other_versions.get(key, absent))
    differing += _difference("Python", *(_minor(record.environment.get("python")) for record in (one, other)))
    return differing + _differing_homes(one, other) + differing_work(one, other)


def _differing_homes(one: Record, other: Record) -> list[str]:
    """Differences between the arms' environments; not their revisions, which may change from record to record."""
    differing = []
    for arm in ARMS:
        home, other_home = (_conditions(record.arms[arm].residence) for record in (one, other))
        for title in dict.fromkeys([*home, *other_home]):
            differing += _difference(f"{title} of {arm}", home.get(title), other_home.get(title))
    return differing


def _conditions(residence: Residence | None) -> dict[str, Any]:
    """The properties of an arm's environment that affect its times, by title."""
    if residence is None:
        return {"process": "the run's"}
    versions = {title: residence.versions.get(name) for name, title in TITLES.items()}
    place = {"process": "its own", "Python": _minor(residence.python), "folder": residence.folder}
    return {**place, **versions, **residence.environment}


def differing_work(one: Record, other: Record) -> list[str]:
    """The settings in which the work of two records differs, each in words."""
    differing = []
    for key, title in WORK.items():
        differing += _difference(title, getattr(one.settings, key), getattr(other.settings, key))
    return differing


def differing_loops(record: Record, reference: Record) -> list[str]:
    """The arms whose loop differs from the reference's, each in words."""
    return [
        f"{arm} is {record.arms[arm].factory}, there {reference.arms[arm].factory}"
        for arm in ARMS
        if record.arms[arm].factory != reference.arms[arm].factory
    ]


def _difference(title: str, value: Any, other: Any) -> list[str]:
    return [] if value == other else [f"{title} {_words(value)}, there {_words(other)}"]


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    return "unknown" if value is None else str(value)


def _minor(python: Any) -> str | None:
    return None if python is None else ".".join(str(python).split(".")[:2])


@dataclasses.dataclass(frozen=True)
class Change:
    """The change from one record to another; ratios are second/first, so above 1 means more."""

    first: Comparison
    second: Comparison
    ms_per_batch: dict[str, Interval]  # by arm; empty: times cannot be compared
    speed_up: Interval | None  # None: the loops or their work differ
    differing: tuple[str, ...]  # why times cannot be compared, each in words
    other_loops: tuple[str, ...]  # arms whose loop differs, each in words

    @classmethod
    def of(cls, first: Record, second: Record) -> Change:
        """Compares two records.

        Raises:
            InvalidRecordError: one of them is invalid.
        """
        for title, record in (("first", first), ("second", second)):
            if problems := invalid(record):
                raise InvalidRecordError(f"the {title} record is invalid: {'; '.join(problems)}")
        ms, speed_up = {}, None
        if same_conditions(second, first):
            for arm in ARMS:
                of_first, of_second = (samples.milliseconds(record.rounds, arm) for record in (first, second))
                ms[arm] = _widened(unpaired_ratio_interval(of_second, of_first), first, second)
        other_loops = differing_loops(second, first)
        if not (other_loops or differing_work(second, first)):
            ratio = unpaired_ratio_interval(samples.ratios(second.rounds), samples.ratios(first.rounds))
            speed_up = _widened(ratio, first, second)
        return cls(
            first=Comparison.of(first),
            second=Comparison.of(second),
            ms_per_batch=ms,
            speed_up=speed_up,
            differing=tuple(differences(second, first)),
            other_loops=tuple(other_loops),
        )


def _widened(interval: Interval, first: Record, second: Record) -> Interval:
    """Widens an interval of two records by the variation between processes of both."""
    factor = math.prod(samples.between_processes(record.rounds, 0.95) for record in (first, second))
    return Interval(interval.estimate, interval.low / factor, interval.high * factor)
