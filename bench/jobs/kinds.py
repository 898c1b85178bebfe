"""Which trials ran on which machine, and that times of several kinds of machine are not compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loop_bench.errors import UsageError
from loop_bench.jobs.machines import Machine, RanOn
from loop_bench.jobs.trial import Result, Trial

HERE = "the machine of the command"


def ran_on(trials: Iterable[tuple[str, Machine | None]]) -> tuple[RanOn, ...]:
    """Which trials ran on which machine, by host; without those that ran where the command did.

    Args:
        trials: title and machine of each.
    """
    found: dict[tuple[str, str], tuple[Machine, list[str]]] = {}
    for title, machine in trials:
        if machine:
            found.setdefault((machine.host, machine.kind), (machine, []))[1].append(title)
    return tuple(RanOn(machine=machine, trials=tuple(titles)) for _, (machine, titles) in sorted(found.items()))


def of_one_kind(trials: Iterable[Trial[Any]], results: Mapping[str, Result[Any]], where: str) -> None:
    """Refuses times that come from machines of several kinds.

    Args:
        trials: those whose results are compared with each other.
        results: by the keys of the trials; of those that are there.
        where: the results are, for the message.

    Raises:
        UsageError: they do; it names the kinds, the hosts, and what ran there.
    """
    kinds: dict[str, list[str]] = {}
    for trial in trials:
        result = results.get(trial.key)
        if result and result.found:  # what has died has no time
            kind, host = (result.machine.kind, result.machine.host) if result.machine else (HERE, "")
            kinds.setdefault(kind, []).append(f"{trial.title} on {host}" if host else trial.title)
    if len(kinds) > 1:
        found = "; ".join(f"{kind}: {', '.join(each)}" for kind, each in kinds.items())
        raise UsageError(f"{where}: times of several kinds of machine are not compared: {found}; name a new folder")
