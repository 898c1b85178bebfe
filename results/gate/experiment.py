"""Measures how often the gate is wrong: on identical code, and with 5% and 10% of real extra work in the loop.

    python results/gate/experiment.py run quiet     # 100 processes
    python results/gate/experiment.py run busy      # 34 processes of three runs each, two at a time
    python results/gate/experiment.py outcome       # lets the gate judge all runs: outcome.md
    python results/gate/experiment.py cost          # what measuring, recording and gating add

After an interruption, `run` resumes.

The loops are instances of the baseline at preset tiny, interleaved as in the harness, with one batch in a block (short
blocks reach the same precision sooner). A quiet process has one loop before and three after: the same code, and with 5%
and 10% more work. The samples of each pair make the record of a run, as long as the harness's stopping rule makes it
with default precision and time. The gate judges it without a reference, and with the previous run as the reference.
There is no null arm: the gate uses it only to see whether it differs from the loop before, which would make the gate
more careful.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
import pandas as pd
import typer
from answers import all_answers
from pairs import Pair, record
from rich.console import Console
from rich.progress import track

from loop_bench.experiments.run.record import Record
from loop_bench.records import gate
from loop_bench.records.change import MACHINE
from loop_bench.report import markdown
from loop_bench.report.texts import Texts
from loop_bench.settings import Settings
from loop_bench.statistics import spread
from loop_bench.timing import samples as ratios

HERE = Path(__file__).parent
FACTORY = "loop_bench.baseline:make_loop"
SETTINGS = Settings(before=FACTORY, after=FACTORY, preset="tiny", seed=0, batches=1)

PAIRS = {
    "quiet": (("before", "same"), ("before", "slow_5"), ("before", "slow_10")),
    "busy": (("before", "same"), ("before_2", "same_2"), ("before_3", "same_3")),
}
"""By condition, the runs of one process, each as the names of its loops before and after."""

PLANTED = {"slow_5": 0.05, "slow_10": 0.10}
"""Share of extra work by the name of the loop."""

BEGINNING = 0.018
"""Fixed cost of planted work, as a share of a block. Measured: with steps for only 5% and 10%, loops were 1.9% and 1.6%
slower than that (4 runs each)."""

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
console = Console(stderr=True)

Condition = Annotated[str, typer.Argument(help="quiet, or busy: two processes at a time, on two cores.")]
Folder = Annotated[Path, typer.Option(help="Folder for the samples, one line of JSON per process.")]
THIS_MACHINE = HERE / "epyc-2-cores"


@app.command()
def run(condition: Condition, runs: int = 100, folder: Folder = THIS_MACHINE) -> None:
    """Adds to the samples until there are this many runs on identical code."""
    if condition not in PAIRS:
        raise typer.BadParameter(f"{condition!r}: must be one of {', '.join(PAIRS)}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{condition}.jsonl"
    existing = len(path.read_text().splitlines()) if path.exists() else 0
    processes = -(-runs // sum(after not in PLANTED for _, after in PAIRS[condition]))
    missing = track(range(existing, processes), f"{condition}: {existing} of {processes} exist", console=console)
    for _, line in zip(missing, _lines(condition), strict=False):
        with path.open("ab") as file:
            file.write(line)


def _lines(condition: str) -> Iterator[bytes]:
    """Yields the output of each process, without end; two run at a time if busy, a new one as soon as one ends."""
    running: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
    try:
        while True:
            while len(running) < (2 if condition == "busy" else 1):
                out = tempfile.TemporaryFile()  # noqa: SIM115  (read when its process ends)
                command = [sys.executable, __file__, "one", condition]
                running.append((subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL), out))
            time.sleep(0.2)
            for child, out in [each for each in running if each[0].poll() is not None]:
                running.remove((child, out))
                if child.returncode:
                    raise RuntimeError(f"a run ended with exit code {child.returncode}: experiment.py one {condition}")
                out.seek(0)
                yield out.read()
    finally:
        for child, _ in running:
            child.kill()


@app.command(hidden=True)
def one(condition: Condition) -> None:
    """Prints the samples of one process as a line of JSON."""
    began = time.monotonic()
    from planted import Planted, steps_in_a_block

    from loop_bench.loop import LoopSpec, build, load
    from loop_bench.machine.environment import environment
    from loop_bench.timing import clock
    from loop_bench.timing.rounds import balanced_orders

    names = tuple(dict.fromkeys(name for pair in PAIRS[condition] for name in pair))
    spec = LoopSpec(SETTINGS.preset, SETTINGS.seed)
    loops: dict[str, Any] = {name: build(FACTORY, load(FACTORY), spec) for name in names}
    for loop in loops.values():
        loop.run(50)
    steps = steps_in_a_block(loops.values(), SETTINGS.batches)
    loops |= {name: Planted(loops[name], share, steps, BEGINNING) for name, share in PLANTED.items() if name in names}
    for loop in loops.values():
        loop.run(50)

    samples: list[dict[str, float]] = []
    orders = balanced_orders(names)
    timing = time.monotonic()
    pairs = {pair: Pair(SETTINGS) for pair in PAIRS[condition]}
    while time.monotonic() - timing < SETTINGS.max_time * len(names) / 3:
        order = next(orders)
        seconds = {name: clock.seconds_for(loops[name], SETTINGS.batches) for name in order}
        samples.append({name: seconds[name] for name in names})
        for (before, after), pair in pairs.items():
            pair.add(seconds[before], seconds[before], seconds[after])
        if all(pair.ended for pair in pairs.values()):
            break
    timed = time.monotonic() - timing
    machine = environment()
    line = {
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "environment": {key: machine[key] for key in (*MACHINE, "python", "versions")},
        "seconds": {"in all": round(time.monotonic() - began, 1), "rounds": round(timed, 1)},
        "microseconds": {name: [round(1e6 * s) for s in column] for name, column in _columns(samples).items()},
    }
    print(json.dumps(line))


@app.command()
def outcome(folder: Folder = THIS_MACHINE) -> None:
    """Lets the gate judge all runs, and writes a count of its decisions to outcome.md."""
    text = ""
    for condition in PAIRS:
        path = folder / f"{condition}.jsonl"
        if path.exists():
            processes = [json.loads(line) for line in path.read_text().splitlines()]
            text += f"## {condition}, {len(processes)} processes\n\n" + "\n".join(_tables(processes, condition)) + "\n"
    print(text)
    (folder / "outcome.md").write_text(text.rstrip() + "\n", encoding="utf-8")


@app.command()
def cost(runs: int = 5) -> None:
    """Measures the time that measuring, recording and gating add to the built-in pair at preset tiny."""
    from loop_bench.cli.closing import Closing
    from loop_bench.experiments.run.measurement import Measurement

    rows = []
    for number in track(range(runs), "runs", console=console):
        measurement = Measurement(
            Settings(before=FACTORY, after="loop_bench.seqgan:make_loop", preset="tiny", seed=0, batches=10)
        )
        _ = measurement.timed  # builds the loops, which does not count
        measurement.time_rounds()
        measurement.check_work()
        record = measurement.record()
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            Closing.of(record, Path(folder)).judge((gate.Limits(), None))
        end = time.perf_counter() - started
        loops = ratios.seconds(record.rounds)
        rows.append(
            {
                "run": number + 1,
                "s in the loops": f"{loops:.1f}",
                "s between them": f"{record.rounds_seconds - loops:.2f}",
                "s for verdict, gate, record and table": f"{end:.2f}",
                "in all": f"{(record.rounds_seconds + end) / loops - 1:.1%}",
            }
        )
    print(markdown.render(Texts.of(pd.DataFrame(rows))))


def _tables(processes: list[dict[str, Any]], condition: str) -> Iterator[str]:
    records: dict[float, list[Record]] = {}
    for process in track(processes, f"making the records of {condition}", console=console):
        for before, after in PAIRS[condition]:
            records.setdefault(PLANTED.get(after, 0.0), []).append(_record(process, before, after))
    step = len(records[0.0]) // len(processes)  # distance to another process's record, for use as the reference
    judged = all_answers(records, step, "against the process before")
    measured = [_measured(planted, of_share) for planted, of_share in records.items()]
    yield markdown.render(Texts.of(pd.DataFrame(judged)))
    yield markdown.render(Texts.of(pd.DataFrame(measured)))
    took = spread(np.array([process["seconds"]["in all"] for process in processes]))
    level = np.array([np.median(ratios.milliseconds(record.rounds, "before")) for record in records[0.0]])
    yield (
        f"A process took {took.median:.0f} s ({took.low:.0f} to {took.high:.0f}). The baseline's own ms/batch was "
        f"{np.median(level):.2f} in the median, and from {level.min():.2f} to {level.max():.2f} over the runs.\n"
    )


def _measured(planted: float, records: list[Record]) -> dict[str, Any]:
    slower = np.array([ratios.speed_up(record.rounds).reciprocal.estimate - 1 for record in records])
    length = spread(np.array([record.rounds_seconds for record in records]))
    count = spread(np.array([len(record.rounds) for record in records]))
    return {
        "planted": f"{planted:.0%}",
        "measured, mean (SD over runs)": f"{slower.mean():+.2%} ({slower.std():.2%})",
        "rounds, median (quartiles)": f"{count.median:.0f} ({count.low:.0f} to {count.high:.0f})",
        "s in them": f"{length.median:.1f} ({length.low:.1f} to {length.high:.1f})",
        "precise to 3%": f"{sum(record.rounds_ended == 'precise' for record in records)} of {len(records)}",
    }


def _columns(samples: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [sample[name] for sample in samples] for name in samples[0]}


def _record(process: dict[str, Any], before: str, after: str) -> Record:
    pair = Pair(SETTINGS)
    for microseconds in zip(*(process["microseconds"][name] for name in (before, before, after)), strict=True):
        pair.add(*(each / 1e6 for each in microseconds))
    return record(process, SETTINGS, [pair])


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app()
