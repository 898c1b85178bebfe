"""Which trials ran on which machine; times of several kinds of machine are not compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loop_bench.errors import UsageError
from loop_bench.jobs.machines import Machine, RanOn
from loop_bench.jobs.trial import Result, Trial

HERE = "the machine of the command"


def ran_on(trials: Iterable[tuple[str, Machine | None]]) -> tuple[RanOn, ...]:
    """Groups trials by the machine that they ran on, except those on the machine of the command.

    Args:
        trials: title and machine of each.
    """
    machines: dict[tuple[str, str], tuple[Machine, list[str]]] = {}
    for title, machine in trials:
        if machine:
            machines.setdefault((machine.host, machine.kind), (machine, []))[1].append(title)
    return tuple(RanOn(machine=machine, trials=tuple(titles)) for _, (machine, titles) in sorted(machines.items()))


def of_one_kind(trials: Iterable[Trial[Any]], results: Mapping[str, Result[Any]], where: str) -> None:
    """Refuses times that come from machines of several kinds.

    Args:
        trials: whose results are compared with each other.
        results: by the keys of the trials, as far as they exist.
        where: name of the results, for the message.

    Raises:
        UsageError: there are several; the message names the kinds, the hosts and the trials.
    """
    kinds: dict[str, list[str]] = {}
    for trial in trials:
        result = results.get(trial.key)
        if result and result.found:  # a failed trial has no time
            kind, host = (result.machine.kind, result.machine.host) if result.machine else (HERE, "")
            kinds.setdefault(kind, []).append(f"{trial.title} on {host}" if host else trial.title)
    if len(kinds) > 1:
        listing = "; ".join(f"{kind}: {', '.join(titles)}" for kind, titles in kinds.items())
        raise UsageError(f"{where}: times of several kinds of machine are not compared: {listing}; name a new folder")
