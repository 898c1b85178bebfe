"""A machine that trials ran on, where it is not the one that their experiment was started on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loop_bench.document import Frozen
from loop_bench.machine import environment


class Machine(Frozen):
    """A machine, and the software that loops run on there."""

    host: str
    environment: dict[str, Any]  # as `loop_bench.machine.environment.environment` gives it

    @property
    def kind(self) -> str:
        """One line of hardware and software: machines of one kind can be expected to take the same time."""
        return environment.machine(self.environment)


class RanOn(Frozen):
    """A machine, and what ran there."""

    machine: Machine
    trials: tuple[str, ...]  # their titles


def environment_of(ran: Iterable[RanOn], here: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of times that are all of one kind of machine: that of the first one, or else this one's.

    The commit is of where the command was started: the code is known to be the same.
    """
    there = next((each.machine.environment for each in ran), here)
    return {**there, **{name: here[name] for name in ("commit", "dirty") if name in here}}
