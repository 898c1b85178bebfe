"""Tables for against.py: the gate's decisions on its runs, and the differences of a loop from itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from answers import all_answers, on_all_cores
from pairs import Pair, record
from scipy import stats

from loop_bench.experiments.run.record import Record
from loop_bench.report import markdown
from loop_bench.report.texts import Texts
from loop_bench.settings import ARMS, NULL, Settings
from loop_bench.statistics import TRIMMED, spread
from loop_bench.timing import samples as ratios


def judged(lines: list[dict[str, Any]], shares: dict[str, float], settings: Settings) -> str:
    """Counts the gate's decisions, without a reference and with the previous run as one, and tables the measurements.

    Args:
        lines: the runs, as against.py writes them.
        shares: extra work in the loops after, by name, as a share of a block.
        settings: settings of the runs.
    """
    arguments = [(line, name, settings) for line in lines for name in shares]
    made = on_all_cores(_record, arguments, "making the records")
    records: dict[float, list[Record]] = {}
    for (_, name, _), of_run in zip(arguments, made, strict=True):
        records.setdefault(shares[name], []).append(of_run)
    step = len(records[0.0]) // len(lines)  # distance to another run's record, for use as the reference
    rows = all_answers(records, step, "against the run before as reference")
    measured = [_measured(share, of_share) for share, of_share in records.items()]
    took = spread(np.array([line["seconds"] for line in lines]))
    load = spread(np.array([line["load"][0] for line in lines]))
    level = np.array([np.median(ratios.milliseconds(record.rounds, ARMS[0])) for record in records[0.0]])
    return (
        f"{markdown.render(Texts.of(pd.DataFrame(rows)))}\n\n{markdown.render(Texts.of(pd.DataFrame(measured)))}\n\n"
        f"A run took {took.median:.0f} s ({took.low:.0f} to {took.high:.0f}), at a load of {load.median:.1f} "
        f"({load.low:.1f} to {load.high:.1f}) over its last minute. The loop's own ms/batch was "
        f"{np.median(level):.2f} in the median, and from {level.min():.2f} to {level.max():.2f} over the runs.\n"
    )


def _record(line: dict[str, Any], after: str, settings: Settings) -> Record:
    """The record of a run with this loop after, as long as the harness's stopping rule would make it."""
    pairs = [Pair(settings, number) for number in range(len(line["groups"]))]
    for pair, group in zip(pairs, line["groups"], strict=True):
        for microseconds in zip(group[ARMS[0]], group[NULL], group[after], strict=True):
            pair.add(*(each / 1e6 for each in microseconds))
    return record(line, settings, pairs)


def _measured(share: float, records: list[Record]) -> dict[str, Any]:
    speed_ups = on_all_cores(ratios.speed_up, [(record.rounds,) for record in records], f"{share:.0%}, intervals")
    slower = np.array([speed_up.reciprocal.estimate - 1 for speed_up in speed_ups])
    widths = spread(np.array([speed_up.width for speed_up in speed_ups]))
    count = spread(np.array([len(record.rounds) for record in records]))
    length = spread(np.array([record.rounds_seconds for record in records]))
    return {
        "planted": f"{share:.0%}",
        "measured, mean (SD over runs)": f"{slower.mean():+.2%} ({slower.std(ddof=1):.2%})",
        "width of the 95% interval, median (quartiles)": f"{widths.median:.1%} ({widths.low:.1%} to {widths.high:.1%})",
        "rounds": f"{count.median:.0f} ({count.low:.0f} to {count.high:.0f})",
        "s in them": f"{length.median:.1f} ({length.low:.1f} to {length.high:.1f})",
    }


def null_arms(apart: list[dict[str, Any]], together: list[dict[str, Any]]) -> str:
    """Tables the difference of a loop from itself: in one process, in two, and as a mean over pairs of processes."""
    pairs = [_estimate([group]) for line in apart for group in line["groups"]]
    all_pairs, one = [_estimate(line["groups"]) for line in apart], [_estimate(line["groups"]) for line in together]
    rows = [
        _far("in one process", one),
        _far("in two processes", pairs),
        _far(f"in {len(apart[0]['groups'])} pairs of processes, their mean", all_pairs),
    ]
    return markdown.render(Texts.of(pd.DataFrame(rows)))


def _estimate(groups: list[dict[str, list[int]]]) -> float:
    """The logarithm of time before / time of the null arm: the mean over groups of trimmed means over rounds."""
    logs = [np.log(np.array(group[ARMS[0]]) / np.array(group[NULL])) for group in groups]
    return float(np.mean([stats.trim_mean(of_group, TRIMMED) for of_group in logs]))


def _far(where: str, logs: list[float]) -> dict[str, Any]:
    differences, freedom = np.array(logs), len(logs)
    root = float(np.sqrt(np.mean(differences**2)))  # deviation from 0, the known mean
    low, high = (root * np.sqrt(freedom / stats.chi2.ppf(tail, freedom)) for tail in (0.975, 0.025))
    return {
        "the loop and itself": where,
        "pairs": freedom,
        "difference, root mean square (95%)": f"{root:.2%} ({low:.2%} to {high:.2%})",
        "largest": f"{np.max(np.abs(differences)):.2%}",
    }
