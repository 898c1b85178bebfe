"""What a survival experiment found, as frames of texts."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

import pandas as pd

from bench import environment
from bench.faults import rates
from bench.faults.experiment import SurvivalRecord, Undisturbed
from bench.faults.fault import Fault
from bench.faults.rates import Rate
from bench.record import ALIVE, ARMS
from bench.report import markdown as renderer
from bench.report import wording
from bench.statistics import wilson_interval


def tables(record: SurvivalRecord) -> list[tuple[str, pd.DataFrame]]:
    """What there is to show, each table with its title; none that would be empty."""
    rungs = [loop for loop in record.plan.loops if loop not in ARMS]
    titled = [
        ("one batch of gradients gone wrong, all networks", by_magnitude(record)),
        ("every fault", by_fault(record, ARMS)),
        ("the ladder of protections", by_fault(record, [*rungs, ARMS[1]], _of_all(record, rungs)) if rungs else _EMPTY),
        ("how the others ended", deaths(record)),
        (f"{record.plan.epochs} epochs without a fault", undisturbed(record)),
    ]
    return [(title, frame) for title, frame in titled if len(frame)]


def markdown(record: SurvivalRecord) -> str:
    """The tables under their titles, and what must be known with them, for docs."""
    parts = [f"### {title[0].upper()}{title[1:]}\n\n{renderer.render(frame, [])}" for title, frame in tables(record)]
    return "\n".join([*parts, renderer.notes(footer(record))])


def by_magnitude(record: SurvivalRecord) -> pd.DataFrame:
    """A row for each size of a gradient that goes wrong once, whatever the network: both arms.

    Returns:
        Texts in the columns gradient, and one an arm.
    """
    found = {arm: rates.by_magnitude(record.survivals[arm]) for arm in ARMS}
    names = dict.fromkeys(name for arm in ARMS for name in found[arm])
    rows = [(name, *(wording.rate(found[arm].get(name, Rate.of(()))) for arm in ARMS)) for name in names]
    return pd.DataFrame(rows, columns=["gradient", *ARMS])


def by_fault(record: SurvivalRecord, loops: Sequence[str], faults: Iterable[str] | None = None) -> pd.DataFrame:
    """A row for each fault: how many runs of each loop came through, and how the rest ended.

    Args:
        record: of the experiment.
        loops: the columns.
        faults: the rows; None for all faults of these loops.

    Returns:
        Texts in the columns fault, and one a loop.
    """
    texts = dict.fromkeys(each.fault for loop in loops for each in record.survivals[loop])
    rows = [
        (
            Fault.parse(text).describe(),
            *(wording.rate(Rate.of(each for each in record.survivals[loop] if each.fault == text)) for loop in loops),
        )
        for text in (texts if faults is None else faults)
    ]
    return pd.DataFrame(rows, columns=["fault", *loops])


def deaths(record: SurvivalRecord) -> pd.DataFrame:
    """A row for each way in which an arm did not come through a fault, in the words of the first of its runs.

    Returns:
        Texts in the columns fault, loop, runs, outcome, the first of them.
    """
    first: dict[tuple[str, str, str], str] = {}
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for arm in ARMS:
        for each in record.survivals[arm]:
            if each.outcome not in (*ALIVE, "not tested"):
                way = (Fault.parse(each.fault).describe(), arm, each.outcome)
                first.setdefault(way, each.reason)
                counts[way] += 1
    rows = [(fault, arm, str(counts[fault, arm, end]), end, why) for (fault, arm, end), why in first.items()]
    return pd.DataFrame(rows, columns=["fault", "loop", "runs", "outcome", "the first of them"])


def undisturbed(record: SurvivalRecord) -> pd.DataFrame:
    """A row for each loop that trained long without a fault.

    Returns:
        Texts in the columns loop, runs, batches a run, died (95%), batches in all.
    """
    rows = []
    for loop, runs in record.undisturbed.items():
        tested = [run for run in runs if run.ended != "not tested"]
        if tested:
            rows.append((loop, str(len(tested)), _range([run.batches for run in tested]), _died(tested)))
    return pd.DataFrame(rows, columns=["loop", "runs", "batches a run", "died (95%)"])


def footer(record: SurvivalRecord) -> list[str]:
    """What a reader must know to believe the tables."""
    plan = record.plan
    runs = {loop: len(found) for loop, found in record.survivals.items()}
    counts = ", ".join(f"{count} of {loop}" for loop, count in runs.items())
    first, last = plan.seeds[0], plan.seeds[-1]
    seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
    commit = record.environment.get("commit")
    return [
        *(f"{arm}: {plan.loops[arm].factory}" for arm in ARMS),
        f"preset {plan.preset}, {seeds}; runs with a fault: {counts}",
        "alive: skipped (the bad update did not happen at all) or survived (finite, and the weights still move at "
        "least a tenth as far as without the fault); intervals are Wilson's, 95%",
        environment.machine(record.environment) + (f"; commit {commit[:9]}" if commit else ""),
    ]


_EMPTY = pd.DataFrame()


def _of_all(record: SurvivalRecord, loops: Sequence[str]) -> tuple[str, ...]:
    """The faults that every one of some loops is put through."""
    first, *rest = (record.plan.loops[loop].faults for loop in loops)
    return tuple(fault for fault in first if all(fault in each for each in rest))


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _died(runs: Sequence[Undisturbed]) -> str:
    found = wilson_interval(sum(run.died for run in runs), len(runs))
    return f"{sum(run.died for run in runs)} of {len(runs)} ({found.low:.0%} to {found.high:.0%})"
