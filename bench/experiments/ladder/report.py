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
from loop_bench.report.report import Fact, Headline, Number, Report, Table, Tone
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
        Table("one change after the other", steps(figures)),
        Table("the full set, without one of its changes", left_out(figures)),
        machines.table(record.ran_on),
    ]
    return Report.of(
        "ladder", titled, facts(record), _numbers(figures), plots.pictures(record), headlines=headlines(figures)
    )


def headlines(figures: LadderFigures) -> Iterator[Headline]:
    """What the full set of changes makes of the baseline's time, and which step brings most."""
    full = figures.full
    if full.over_baseline:
        yield Headline("all changes", f"{_ratio(full.over_baseline, figures, '95%: ')}, over the baseline")
    else:
        why_not = _flaw(full) or f"not known: {figures.rungs[0].rung.name} has no valid time"
        yield Headline("all changes", why_not, Tone.UNSURE)
    yield from _largest_step(figures)


def _largest_step(figures: LadderFigures) -> Iterator[Headline]:
    """The step that makes training fastest, where several are compared and any is faster."""
    steps = [each for each in figures.rungs if each.rung.group == "step"]
    faster = {
        each.rung.name: each.over_reference
        for each in steps
        if each.over_reference and figures.effect(each) == "faster"
    }
    if len(steps) == 1 or not faster:
        return
    name = max(faster, key=lambda name: faster[name].estimate)
    unknown = sum(figures.effect(each) == "invalid" for each in steps)
    but = f"; not known of {unknown} of {len(steps)} steps" if unknown else ""
    yield Headline("largest step", f"{name}, {_ratio(faster[name], figures, '95%: ')}, over the rung before{but}")


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
    if flaw := _flaw(found):
        return flaw
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


def facts(record: LadderRecord) -> list[Fact]:
    """The conditions of the tables."""
    ladder, figures = record.ladder, LadderFigures.of(record)
    factories = ", ".join(dict.fromkeys(rung.factory for rung in ladder.rungs))
    kinds = dict.fromkeys(found.memory.of for found in record.findings.values() if found.memory)
    return [
        Fact("rungs", f"{len(ladder.rungs)} of {factories}"),
        Fact("settings", f"preset {ladder.preset}, seed {ladder.seed}"),
        Fact("rounds", _length(record)),
        *([Fact(wording.NULL_ARM, _null(figures))] if figures.null else []),
        Fact(
            "costs beside time",
            "time to first batch, host syncs, memory and equivalence are measured once, each rung in a process of its "
            "own; equivalence with clipping, temperature and sampler alike, where the rung says so",
        ),
        *(
            Fact("peak memory", f"{_MEMORY[kind]} in these batches, over what it was before the loop was built")
            for kind in kinds
        ),
        *machines.facts(record.environment, record.ran_on),
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
    yield Number.estimate("baseline over itself", wording.NULL_ARM, "ratio", figures.null)


def _flaw(found: RungFigures) -> str:
    """Why a rung has no speed-up, in words; empty if it has."""
    return found.stopped or (f"invalid: {found.invalid}" if found.invalid else "")


def _ratio(ratio: Interval, figures: LadderFigures, level: str = "") -> str:
    """A ratio in few words; how far the baseline differs from itself is a fact of its own.

    Args:
        ratio: of two rungs.
        figures: of the ladder.
        level: the confidence of the interval, where no heading names it.
    """
    if math.isinf(ratio.high):
        return wording.speed_up(ratio)
    if not figures.measurable(ratio):
        return f"no measurable difference ({level}{ratio.low:.3f} to {ratio.high:.3f})"
    faster = ratio if ratio.estimate > 1 else ratio.reciprocal
    than = "faster" if ratio.estimate > 1 else "slower"
    return f"{faster.estimate:.2f}× {than} ({level}{faster.low:.2f} to {faster.high:.2f})"


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
    told = f"the baseline against a second instance of itself: {wording.speed_up(figures.null)}"
    if figures.noise == 1.0:
        return told
    return f"{told}; no rung that differs by less than {figures.noise - 1:.1%} counts as faster or slower"
