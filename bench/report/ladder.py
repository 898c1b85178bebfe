"""What a ladder found, as frames of texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench import environment
from bench.ladders.figures import LadderFigures, RungFigures
from bench.ladders.record import LadderRecord
from bench.report import markdown as renderer
from bench.report import terminal, wording
from bench.report.wording import NOT_MEASURED
from bench.statistics import Interval

_MEMORY = {
    "device memory": "the most that TensorFlow's allocator handed out on the GPUs",
    "resident set": "how far the resident set of the process grew at most",
}


def tables(record: LadderRecord) -> list[tuple[str, pd.DataFrame]]:
    """What there is to show, each table with its title; none that would be empty."""
    figures = LadderFigures.of(record)
    titled = [
        ("one change after the other", steps(figures)),
        ("the full set, without one of its changes", left_out(figures)),
    ]
    return [(title, frame) for title, frame in titled if len(frame)]


def markdown(record: LadderRecord) -> str:
    """The tables under their titles, and what must be known with them, for docs."""
    parts = [f"### {title[0].upper()}{title[1:]}\n\n{renderer.render(frame, [])}" for title, frame in tables(record)]
    return "\n".join([*parts, renderer.notes(footer(record))])


def show(console: Console, record: LadderRecord, written: Sequence[Path]) -> None:
    """Prints the tables, what must be known with them, and where they were written."""
    terminal.tables(console, tables(record), [*footer(record), f"written: {', '.join(map(str, written))}"])


def steps(figures: LadderFigures) -> pd.DataFrame:
    """A row for the baseline and each step.

    Returns:
        Texts in the columns rung, ms/batch, speed-up over the rung before and over the baseline, and the costs.
    """
    rows = [
        {
            "rung": each.rung.name,
            "ms/batch, median (quartiles)": wording.spread(each.ms_per_batch),
            "speed-up over the rung before": speed_up(each, figures),
            "over the baseline": over_baseline(each, figures),
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
            "against the full set": speed_up(each, figures),
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
        return _unknown(found)
    return _ratio(found.over_reference, figures)


def in_short(found: RungFigures, figures: LadderFigures) -> str:
    """The same for a picture: without interval and reason."""
    effect = figures.effect(found)
    if found.over_reference and effect in ("faster", "slower"):
        ratio = found.over_reference if effect == "faster" else found.over_reference.reciprocal
        return f"{ratio.estimate:.2f}× {effect}"
    return {"none": "", "invalid": _why_not(found)}.get(effect, effect)


def over_baseline(found: RungFigures, figures: LadderFigures) -> str:
    """The same against the baseline; the reason why there is none stands in `speed_up`."""
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
    commit = record.environment.get("commit")
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
        environment.machine(record.environment) + (f"; commit {commit[:9]}" if commit else ""),
    ]


def _ratio(ratio: Interval, figures: LadderFigures) -> str:
    if math.isinf(ratio.high) or ratio.holds(1.0) or figures.measurable(ratio):
        return wording.speed_up(ratio)
    return (
        f"no measurable difference (95% interval of the ratio {ratio.low:.3f} to {ratio.high:.3f}, and the baseline "
        f"differs from itself by up to {figures.noise - 1:.1%})"
    )


def _why_not(found: RungFigures) -> str:
    """In a word or two, why nothing is known of a change."""
    if found.stopped:
        return found.stopped.partition(":")[0]
    return "invalid" if found.invalid else _unknown(found)


def _unknown(found: RungFigures) -> str:
    return f"change not known: {found.reference} has no valid time"


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
    return f"the baseline against a second instance of itself (null arm): {wording.speed_up(figures.null)}"
