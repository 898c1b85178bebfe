"""The pictures of a run: time, ratio, host syncs and training metrics of both loops."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from bench.experiments.run import history_plots, read_plots, round_plots
from bench.experiments.run.figures import Comparison
from bench.experiments.run.record import Record
from bench.experiments.run.verdict import Verdict
from bench.report import plots
from bench.report.report import Picture
from bench.settings import ARMS
from bench.statistics import FEWEST_PAIRS, Drift


def pictures(record: Record) -> tuple[Picture, ...]:
    """What there is to see in a record; none of what it does not hold."""
    found = Comparison.of(record)
    return (*_of_rounds(record, found), *_of_reads(record), *_of_history(record))


def _of_rounds(record: Record, found: Comparison) -> Iterator[Picture]:
    if found.timing is None:
        return
    verdict = Verdict.of(record, found)
    doubtful = " (suspicious)" if verdict.suspicious else ""
    title = plots.wrapped(f"{verdict.kind}{doubtful}: {verdict.reason}", inches=0.9 * plots.WIDTH)
    settings, count = record.settings, len(record.rounds)
    rounds = f"{count} round{'' if count == 1 else 's'} of {settings.batches} batches"
    smooth = "with running medians" if count >= round_plots.SMOOTHED else "one by one"
    band = " and their 95% intervals" if count >= FEWEST_PAIRS else ""
    yield Picture(
        "times",
        f"Milliseconds a batch of before ({settings.before}), a second instance of it (before again, the null arm) and "
        f"after ({settings.after}) in {rounds}: over the rounds, {smooth}, and as boxes of the quartiles.",
        functools.partial(round_plots.times, record.rounds, found, title),
    )
    yield Picture(
        "ratios",
        f"Time before over time after in each of {rounds}, and over that of a second instance of before (the null "
        f"arm), with the estimates{band}: {_trend(found.timing.drift)}.",
        functools.partial(round_plots.ratios, record.rounds, found.timing, title),
    )


def _trend(drift: Drift) -> str:
    return f"it drifted by {drift.change:+.1%} over the run" if drift.significant else "no significant drift"


def _of_reads(record: Record) -> Iterator[Picture]:
    syncs = {arm: record.arms[arm].host_syncs for arm in ARMS}
    if any(each and each.sites for each in syncs.values()):
        yield Picture(
            "host-syncs",
            "Reads of the device by the host a batch, by the line of code that makes them and the way it does; host "
            "ops in graphs are not among them.",
            functools.partial(read_plots.reads, syncs),
        )


def _of_history(record: Record) -> Iterator[Picture]:
    histories = {arm: record.arms[arm].history for arm in ARMS}
    names = history_plots.metrics(histories)
    if names:
        most = history_plots.MOST_METRICS
        which = f"The first {most} of {len(names)} training metrics" if len(names) > most else "Training metrics"
        yield Picture(
            "metrics",
            f"{which} of the timed loops over their batches, with running means; the loops need not draw the same "
            "random numbers, so this is not the check of equivalence.",
            functools.partial(history_plots.history, histories),
        )
