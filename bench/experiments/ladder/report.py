"""The report of a ladder: what each change brings, and what leaving it out costs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from loop_bench.experiments.ladder import plots
from loop_bench.experiments.ladder.figures import LadderFigures, RungFigures
from loop_bench.experiments.ladder.record import LadderRecord
from loop_bench.report import machines
from loop_bench.report import rows as wording
from loop_bench.report.report import Number, Report
from loop_bench.report.rows import NOT_MEASURED
from loop_bench.statistics import Interval

_MEMORY = {
    "device memory": "the most that TensorFlow's allocator handed out on the GPUs",
    "resident set": "how far the resident set of the process grew at most",
}


def report(record: LadderRecord) -> Report:
    """The report of a record."""
    figures = LadderFigures.of(record)
    titled = [
        ("one change after the other", steps(figures)),
        ("the full set, without one of its changes", left_out(figures)),
        (machines.TITLE, machines.table(record.ran_on)),
    ]
    return Report.of("ladder", titled, footer(record), _numbers(figures), plots.pictures(record))


def steps(figures: LadderFigures) -> pd.DataFrame:
    """A row for the baseline and each step.

    Returns:
        Texts in the columns rung, ms/batch, speed-up over the rung before and over the baseline, and the costs.
    """
    rows = [
        {
            "rung": each.rung.name,
            "ms/batch, median (quartiles)": wording.spread(each.ms_per_batch),
            "over the rung before (95%)": speed_up(each, figures),
            "over the baseline (95%)": over_baseline(each, figures),
            **_costs(each),
        }
        for each in figures.rungs
        if each.rung.group != "left out"
    ]
    return pd.DataFrame(rows)


def left_out(figures: LadderFigures) -> pd.DataFrame:
    """A row for each change that was left out of the full set.

    Returns:
        Texts in the columns left out, ms/batch, what that costs or gains, and the costs beside time.
    """
    rows = [
        {
            "left out": each.rung.name,
            "ms/batch, median (quartiles)": wording.spread(each.ms_per_batch),
            "against the full set (95%)": speed_up(each, figures),
            **_costs(each),
        }
        for each in figures.rungs
        if each.rung.group == "left out"
    ]
    return pd.DataFrame(rows)


def speed_up(found: RungFigures, figures: LadderFigures) -> str:
    """What one change makes of the time: `1.30× faster (...)`, `no measurable difference`, or why that is not known.

    Empty for the baseline, which has no rung before it.
    """
    if found.stopped:
        return found.stopped
    if found.invalid:
        return f"invalid: {found.invalid}"
    if not found.reference:
        return ""
    if found.over_reference is None:
        return found.unknown
    return _ratio(found.over_reference, figures)


def over_baseline(found: RungFigures, figures: LadderFigures) -> str:
    """What a rung makes of the baseline's time; why that is not known stands in `speed_up`."""
    if found.invalid:
        return "invalid"
    if not found.reference:
        return ""
    return NOT_MEASURED if found.over_baseline is None else _ratio(found.over_baseline, figures)


def footer(record: LadderRecord) -> list[str]:
    """What a reader must know to believe the tables."""
    ladder, figures = record.ladder, LadderFigures.of(record)
    factories = ", ".join(dict.fromkeys(rung.factory for rung in ladder.rungs))
    kinds = dict.fromkeys(found.memory.of for found in record.findings.values() if found.memory)
    return [
        f"{len(ladder.rungs)} rungs of {factories}; preset {ladder.preset}, seed {ladder.seed}",
        _length(record),
        *([_null(figures)] if figures.null else []),
        "time to first batch, host syncs, memory and equivalence: once, in a process of its own each; "
        "equivalence with clipping, temperature and sampler alike, where the rung says so",
        *(
            f"peak memory: {_MEMORY[kind]} in these batches, over what it was before the loop was built"
            for kind in kinds
        ),
        machines.note(record.environment, record.ran_on),
    ]


def _numbers(figures: LadderFigures) -> Iterator[Number | None]:
    for each in figures.rungs:
        name, found = each.rung.name, each.finding
        yield Number.median("time a batch", name, "ms", each.ms_per_batch)
        yield Number.estimate("speed-up over the reference", name, "ratio", each.over_reference)
        yield Number.estimate("speed-up over the baseline", name, "ratio", each.over_baseline)
        yield Number.plain("time to first batch", name, "s", found.start.seconds if found.start else None)
        syncs = found.host_syncs.reads_per_batch if found.host_syncs else None
        yield Number.plain("host syncs", name, "a batch", syncs)
        yield Number.plain("peak memory", name, "MiB", found.memory.nbytes / 2**20 if found.memory else None)
    yield Number.estimate("baseline over itself", "null arm", "ratio", figures.null)


def _ratio(ratio: Interval, figures: LadderFigures) -> str:
    """A ratio in few words: that the baseline differs from itself by as much stands in the footer."""
    if math.isinf(ratio.high):
        return wording.speed_up(ratio)
    if not figures.measurable(ratio):
        return f"no measurable difference ({ratio.low:.3f} to {ratio.high:.3f})"
    faster = ratio if ratio.estimate > 1 else ratio.reciprocal
    than = "faster" if ratio.estimate > 1 else "slower"
    return f"{faster.estimate:.2f}× {than} ({faster.low:.2f} to {faster.high:.2f})"


def _costs(found: RungFigures) -> dict[str, str]:
    start, syncs, memory = found.finding.start, found.finding.host_syncs, found.finding.memory
    return {
        "host syncs a batch": wording.few(syncs.reads_per_batch if syncs else None),
        "time to first batch, s": wording.few(start.seconds if start else None),
        "peak memory, MiB": f"{memory.nbytes / 2**20:.1f}" if memory else NOT_MEASURED,
        "equivalence": _equivalence(found),
    }


def _equivalence(found: RungFigures) -> str:
    known = found.finding.equivalence
    if found.rung.group == "baseline":
        return "what the others are compared with"
    if known is None:
        return "not looked at" if found.finding.died else "not looked at: no options are known that make it the same"
    if known.bit_for_bit:
        return "bit for bit"
    return "up to rounding" if known.equal else "no"


def _length(record: LadderRecord) -> str:
    if not record.rounds:
        return "nothing was timed"
    why = {
        "out of time": f"the time of {record.limits.max_time:g} s was over",
        "as many as asked for": "as many as were asked for",
    }.get(record.rounds_ended or "", "no loop was left")
    return f"{len(record.rounds)} rounds of {record.ladder.batches} batches a rung, in turns, in one process; {why}"


def _null(figures: LadderFigures) -> str:
    assert figures.null
    told = f"the baseline against a second instance of itself (null arm): {wording.speed_up(figures.null)}"
    if figures.noise == 1.0:
        return told
    return f"{told}; no rung that differs by less than {figures.noise - 1:.1%} counts as faster or slower"
