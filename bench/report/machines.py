"""Where the trials of an experiment ran, in reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from loop_bench.jobs.machines import RanOn
from loop_bench.machine import environment

TITLE = "machines that the trials ran on"


def table(ran: Sequence[RanOn]) -> pd.DataFrame:
    """A row for each machine; none where all ran on the one of the command.

    Returns:
        Texts in the columns host, machine, trials.
    """
    rows = [(each.machine.host, each.machine.kind, str(len(each.trials))) for each in ran]
    return pd.DataFrame(rows, columns=["host", "machine", "trials"])


def note(recorded: Mapping[str, Any], ran: Sequence[RanOn]) -> str:
    """The line of a footer that names the machine, or says that there is a table of them, and the commit."""
    commit = recorded.get("commit")
    where = f"trials ran on {_count(ran)} of a cluster" if ran else environment.machine(dict(recorded))
    return where + (f"; commit {commit[:9]}" if commit else "")


def _count(ran: Sequence[RanOn]) -> str:
    kinds = len({each.machine.kind for each in ran})
    machines = "1 machine" if len(ran) == 1 else f"{len(ran)} machines"
    return f"{machines} (of {kinds} kinds)" if kinds > 1 else machines
