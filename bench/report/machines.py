"""Where the trials of an experiment ran, in reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from loop_bench.jobs.machines import RanOn
from loop_bench.machine import environment
from loop_bench.report.report import Fact, Table
from loop_bench.report.texts import counted

TITLE = "machines that the trials ran on"


def table(ran: Sequence[RanOn]) -> Table:
    """A row for each machine, in the columns host, machine, trials; no rows where all ran on that of the command."""
    rows = [(each.machine.host, each.machine.kind, str(len(each.trials))) for each in ran]
    return Table(TITLE, pd.DataFrame(rows, columns=["host", "machine", "trials"]))


def facts(recorded: Mapping[str, Any], ran: Sequence[RanOn] = ()) -> list[Fact]:
    """The facts that end a report: machine, versions and commit.

    Args:
        recorded: environment of the record.
        ran: where its trials ran; nothing where all ran on the machine of the command.
    """
    if ran:
        return [Fact("machines", f"trials ran on {_count(ran)} of a cluster"), *commit(recorded)]
    return [*of_machine(recorded), *commit(recorded)]


def of_machine(recorded: Mapping[str, Any]) -> list[Fact]:
    """Machine and versions."""
    return [
        Fact("machine", environment.hardware(dict(recorded)), is_brief=True),
        Fact("versions", environment.software(recorded["versions"], recorded["python"]), is_brief=True),
    ]


def commit(recorded: Mapping[str, Any]) -> list[Fact]:
    """The commit of the folder that the command ran in, where it is in a repository."""
    return [Fact("commit", str(known)[:9], is_brief=True) for known in [recorded.get("commit")] if known]


def _count(ran: Sequence[RanOn]) -> str:
    kinds = len({each.machine.kind for each in ran})
    machines = counted(len(ran), "machine")
    return f"{machines} (of {kinds} kinds)" if kinds > 1 else machines
