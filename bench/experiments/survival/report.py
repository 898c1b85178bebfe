"""The report of a survival experiment: who lives, who dies, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import pandas as pd

from loop_bench.experiments.survival import figures, plots
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.figures import Rate
from loop_bench.experiments.survival.record import ALIVE, SurvivalRecord
from loop_bench.report import machines
from loop_bench.report.report import Fact, Headline, Number, Report, Table, Tone
from loop_bench.report.rows import NOT_MEASURED, range_of
from loop_bench.settings import ARMS


def report(record: SurvivalRecord) -> Report:
    """The report of a record."""
    rungs = [loop for loop in record.plan.loops if loop not in ARMS]
    titled = [
        Table("one batch of bad gradients", by_magnitude(record)),
        Table("other faults", by_fault(record, ARMS, _of_other_shape(record))),
        Table(
            "the ladder of protections",
            by_fault(record, [*rungs, ARMS[1]], _of_all(record, rungs)) if rungs else _EMPTY,
        ),
        Table("how the other runs ended", deaths(record), shown=10),
        Table("not tested, and why", untested(record)),
        Table(f"{record.plan.epochs} epochs without a fault", undisturbed(record)),
        machines.table(record.ran_on),
    ]
    return Report.of(
        "survival", titled, facts(record), _numbers(record), plots.pictures(record), headlines=headlines(record)
    )


def headlines(record: SurvivalRecord) -> Iterator[Headline]:
    """How many runs of each arm were alive after a fault, and how many could not be tested."""
    for arm in ARMS:
        rate = Rate.of(record.survivals[arm])
        if rate.share:
            share = f"{rate.share.low:.0%} to {rate.share.high:.0%}"
            untested = f"; {rate.untested} not tested" if rate.untested else ""
            yield Headline(arm, f"{rate.alive} of {rate.runs} runs with a fault alive (95%: {share}){untested}")
        else:
            why = f"not tested: {rate.why_untested}" if rate.untested else NOT_MEASURED
            yield Headline(arm, why, Tone.UNSURE)


def by_magnitude(record: SurvivalRecord) -> pd.DataFrame:
    """A row for each network and size of its gradients, made so in one batch: both arms.

    Returns:
        Texts in the columns network, gradients, and one an arm.
    """
    found = {arm: figures.by_magnitude(record.survivals[arm]) for arm in ARMS}
    each = dict.fromkeys(magnitude for arm in ARMS for magnitude in found[arm])
    rows = [(*name, *(figures.rate(found[arm].get(name, Rate.of(()))) for arm in ARMS)) for name in each]
    return pd.DataFrame(rows, columns=["network", "gradients", *ARMS])


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
            *(figures.rate(Rate.of(each for each in record.survivals[loop] if each.fault == text)) for loop in loops),
        )
        for text in (texts if faults is None else faults)
    ]
    return pd.DataFrame(rows, columns=["fault", *loops])


def deaths(record: SurvivalRecord) -> pd.DataFrame:
    """A row for each way in which an arm did not come through a fault, in the words of the first of its runs.

    Returns:
        Texts in the columns fault, loop, runs, outcome, the first of them.
    """
    ways: dict[tuple[str, str, str], list[str]] = {}
    for arm in ARMS:
        for each in record.survivals[arm]:
            if each.outcome not in (*ALIVE, "not tested"):
                ways.setdefault((each.fault, arm, each.outcome), []).append(each.reason)
    rows = [
        (Fault.parse(fault).describe(), arm, str(len(reasons)), outcome, reasons[0])
        for (fault, arm, outcome), reasons in ways.items()
    ]
    return pd.DataFrame(rows, columns=["fault", "loop", "runs", "outcome", "the first of them"])


def untested(record: SurvivalRecord) -> pd.DataFrame:
    """A row for each reason for which runs of a loop tell nothing; it is often the same for all faults.

    Returns:
        Texts in the columns loop, runs, fault, why.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    for loop, runs in record.survivals.items():
        for each in runs:
            if each.outcome == "not tested":
                reasons.setdefault((loop, each.reason), []).append(each.fault)
    rows = [
        (loop, str(len(faults)), _faults(dict.fromkeys(faults), len(record.plan.loops[loop].faults)), why)
        for (loop, why), faults in reasons.items()
    ]
    return pd.DataFrame(rows, columns=["loop", "runs", "fault", "why"])


def undisturbed(record: SurvivalRecord) -> pd.DataFrame:
    """A row for each loop that trained long without a fault.

    Returns:
        Texts in the columns loop, batches a run, died (95%).
    """
    rows = []
    for loop, runs in record.undisturbed.items():
        dead, ended, share = figures.died(runs)
        if share:
            range_ = range_of([run.batches for run in runs if run.ended == "whole"])
            rows.append((loop, range_, f"{dead} of {ended} ({share.low:.0%} to {share.high:.0%})"))
    return pd.DataFrame(rows, columns=["loop", "batches a run", "died (95%)"])


def facts(record: SurvivalRecord) -> list[Fact]:
    """The conditions of the tables."""
    plan = record.plan
    runs = {loop: len(found) for loop, found in record.survivals.items()}
    counts = ", ".join(f"{count} of {loop}" for loop, count in runs.items())
    first, last = plan.seeds[0], plan.seeds[-1]
    seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
    return [
        *(Fact(arm, plan.loops[arm].factory) for arm in ARMS),
        Fact("settings", f"preset {plan.preset}, {seeds}"),
        Fact("runs with a fault", counts),
        Fact(
            "alive",
            "skipped (the bad update did not happen at all) or survived (finite, and the weights still move at least a "
            "tenth as far as without the fault), with Wilson's 95% interval",
        ),
        Fact(
            "back",
            "the weights move at least half as far as without the fault, and each metric is where it is without it",
        ),
        *machines.facts(record.environment, record.ran_on),
    ]


def _numbers(record: SurvivalRecord) -> Iterator[Number | None]:
    for loop, runs in record.survivals.items():
        for fault in dict.fromkeys(each.fault for each in runs):
            rate = Rate.of(each for each in runs if each.fault == fault)
            yield Number.estimate(f"alive after {fault}", loop, "share of runs", rate.share)
            yield Number.plain(f"runs with {fault}", loop, "runs", rate.runs)
    for loop, long in record.undisturbed.items():
        dead, ended, share = figures.died(long)
        yield Number.estimate("died without a fault", loop, "share of runs", share)
        yield Number.plain("died without a fault", loop, "runs", dead)
        yield Number.plain("runs without a fault", loop, "runs", ended)


_EMPTY = pd.DataFrame()


def _of_all(record: SurvivalRecord, loops: Sequence[str]) -> tuple[str, ...]:
    """The faults that every one of some loops is put through."""
    first, *rest = (record.plan.loops[loop].faults for loop in loops)
    return tuple(fault for fault in first if all(fault in each for each in rest))


def _of_other_shape(record: SurvivalRecord) -> tuple[str, ...]:
    """The faults that are not in the table of magnitudes."""
    faults = dict.fromkeys(each.fault for arm in ARMS for each in record.survivals[arm])
    return tuple(fault for fault in faults if figures.magnitude_of(Fault.parse(fault)) is None)


def _faults(faults: Collection[str], planned: int) -> str:
    """Faults in words; of as many as were planned and more than one only that."""
    if len(faults) == planned > 1:
        return f"all {planned}"
    return "; ".join(Fault.parse(text).describe() for text in faults)
