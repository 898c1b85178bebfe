"""What differs between two records, and what changed from one to the other as far as they can be compared.

Absolute ms/batch is compared only between records of the same machine, software, loops and work; ratios of the two
loops also between machines.
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
"""Fields of the environment that describe the machine and decide how long a batch takes, with their titles; beside them
counts what kind of CPU it is."""

WORK = {
    "preset": "preset",
    "batches": "batches in a block",
    "options": "options",
    "machines": "machines that train together",
}
"""Settings that decide what a batch is."""


def same_machine(one: Record, other: Record) -> bool:
    """Whether both were made on machines that look alike."""
    return _machine(one) == _machine(other)


def _machine(record: Record) -> dict[str, Any]:
    """What describes the machine, by the titles of it."""
    plain = {title: record.environment.get(key) for key, title in MACHINE.items()}
    return {**plain, "kind of CPU": cpu(record)}


def cpu(record: Record) -> str | None:
    """What tells the CPU from others of its name, and sets its allocator; None of a record that does not say."""
    found = record.environment.get("processor")
    if found is None:
        return None
    settings = " ".join(f"{name}={value}" for name, value in found["allocator_settings"].items())
    memory = f"pages of {found['page_bytes']} bytes, huge ones {found['huge_pages']}"
    kind = [found["vendor"], processor.words(found), *found["vectors"], memory, found["allocator"], settings]
    return "; ".join(str(each) for each in kind if each)


def same_conditions(one: Record, other: Record) -> bool:
    """Whether ms/batch of the two can be compared: loops, work, machine and software are the same."""
    return not (differing_loops(one, other) or differences(one, other))


def differences(one: Record, other: Record) -> list[str]:
    """What makes ms/batch of the same loops incomparable, each as `TensorFlow 2.21.0, there 2.20.0`; empty if nothing.

    Which loops they are is not looked at: see `differing_loops`.
    """
    found = []
    machine, other_machine = _machine(one), _machine(other)
    for title, value in machine.items():
        found += _difference(title, value, other_machine[title])
    here, there = one.environment.get("versions", {}), other.environment.get("versions", {})
    for key, title in TITLES.items():
        absent = "none" if key == KERAS_2 else None
        found += _difference(title, here.get(key, absent), there.get(key, absent))
    found += _difference("Python", *(_minor(record.environment.get("python")) for record in (one, other)))
    return found + _differing_homes(one, other) + differing_work(one, other)


def _differing_homes(one: Record, other: Record) -> list[str]:
    """In what arms lived otherwise; not their revisions, which are what changes from one record to the next."""
    found = []
    for arm in ARMS:
        here, there = (_lived(record.arms[arm].residence) for record in (one, other))
        for title in dict.fromkeys([*here, *there]):
            found += _difference(f"{title} of {arm}", here.get(title), there.get(title))
    return found


def _lived(residence: Residence | None) -> dict[str, Any]:
    """What decides about the times of an arm, by title."""
    if residence is None:
        return {"process": "the run's"}
    versions = {title: residence.versions.get(name) for name, title in TITLES.items()}
    place = {"process": "its own", "Python": _minor(residence.python), "folder": residence.folder}
    return {**place, **versions, **residence.environment}


def differing_work(one: Record, other: Record) -> list[str]:
    """Settings that make them different work, each in words."""
    found = []
    for key, title in WORK.items():
        found += _difference(title, getattr(one.settings, key), getattr(other.settings, key))
    return found


def differing_loops(record: Record, reference: Record) -> list[str]:
    """Arms whose loop is another one than in the reference, each in words."""
    return [
        f"{arm} is {record.arms[arm].factory}, there {reference.arms[arm].factory}"
        for arm in ARMS
        if record.arms[arm].factory != reference.arms[arm].factory
    ]


def _difference(title: str, here: Any, there: Any) -> list[str]:
    return [] if here == there else [f"{title} {_words(here)}, there {_words(there)}"]


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items()) or "none"
    return "unknown" if value is None else str(value)


def _minor(python: Any) -> str | None:
    return None if python is None else ".".join(str(python).split(".")[:2])


@dataclasses.dataclass(frozen=True)
class Change:
    """Two records side by side; the ratios are second/first: above 1 is more."""

    first: Comparison
    second: Comparison
    ms_per_batch: dict[str, Interval]  # by arm; empty when times cannot be compared
    speed_up: Interval | None  # None when the loops or their work are others
    differing: tuple[str, ...]  # why they cannot, each in words
    other_loops: tuple[str, ...]  # arms whose loop is another one, each in words

    @classmethod
    def of(cls, first: Record, second: Record) -> Change:
        """The change between two records.

        Raises:
            InvalidRecordError: nothing can be concluded from one of them.
        """
        for title, record in (("first", first), ("second", second)):
            if problems := invalid(record):
                raise InvalidRecordError(f"the {title} record is invalid: {'; '.join(problems)}")
        ms, speed_up = {}, None
        if same_conditions(second, first):
            for arm in ARMS:
                there, here = (samples.milliseconds(record.rounds, arm) for record in (first, second))
                ms[arm] = _of_processes(unpaired_ratio_interval(here, there), first, second)
        other_loops = differing_loops(second, first)
        if not (other_loops or differing_work(second, first)):
            found = unpaired_ratio_interval(samples.ratios(second.rounds), samples.ratios(first.rounds))
            speed_up = _of_processes(found, first, second)
        return cls(
            first=Comparison.of(first),
            second=Comparison.of(second),
            ms_per_batch=ms,
            speed_up=speed_up,
            differing=tuple(differences(second, first)),
            other_loops=tuple(other_loops),
        )


def _of_processes(interval: Interval, first: Record, second: Record) -> Interval:
    """An interval of two records with what processes of the same loops may differ by in either."""
    more = math.prod(samples.between_processes(record.rounds, 0.95) for record in (first, second))
    return Interval(interval.estimate, interval.low / more, interval.high * more)
