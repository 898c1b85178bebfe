"""Machines that trials ran on, other than the one on which their experiment was started."""

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
        """One line on hardware and software: machines of one kind can be expected to take the same time."""
        return environment.machine(self.environment)


class RanOn(Frozen):
    """A machine, and the trials that ran there."""

    machine: Machine
    trials: tuple[str, ...]  # their titles


def environment_of(ran: Iterable[RanOn], here: Mapping[str, Any]) -> dict[str, Any]:
    """The environment in which times were taken, all on one kind of machine: the first one's, or else this one's.

    The commit is that of the machine on which the command was started: the code is known to be the same.
    """
    taken = next((group.machine.environment for group in ran), here)
    return {**taken, **{name: here[name] for name in ("commit", "dirty") if name in here}}
