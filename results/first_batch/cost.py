"""How long each loop takes to its first batch: compiled anew, and with a compile cache that another seed has filled.

    python results/first_batch/cost.py         # four minutes; writes epyc-9004-2-cores/cost.md

The time is the harness's: from calling the factory to the end of the first batch (`loop_bench.timing.clock.start`),
with TensorFlow imported and started. It is taken in a process of its own each time, in turns, each round from another
seed. The cache is that of `python -m loop_bench.seqgan train` (`loop_bench.seqgan.device.CompileCache`), filled once
from seed 0.
"""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.progress import track

from loop_bench import builtin
from loop_bench.loop import LoopSpec, load
from loop_bench.machine import environment
from loop_bench.report import markdown
from loop_bench.report.texts import Texts
from loop_bench.seqgan.device import CompileCache, start_tensorflow
from loop_bench.statistics import ratio_interval
from loop_bench.timing import clock
from loop_bench.timing.rounds import balanced_orders

HERE = Path(__file__).parent

BEFORE, AFTER, CACHED = "loop before", "loop after, compiled anew", "loop after, cache filled from another seed"


def seconds(factory: str, preset: str, seed: int, cache: Path | None) -> float:
    """Seconds to the first batch of a loop, in a process that has not yet imported TensorFlow."""
    kept = CompileCache(cache) if cache else None
    if kept:
        kept.open()
    start_tensorflow()
    loop = load(factory)
    clock.warm_up()
    _, start = clock.start(factory, loop, LoopSpec(preset, seed))
    if kept:
        kept.close()
    return start.seconds


def in_turns(take: dict[str, Callable[[int], float]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each, [rounds], each round from a seed of its own, in orders that are balanced over the rounds."""
    orders = balanced_orders([*take])
    found: dict[str, list[float]] = {name: [] for name in take}
    for seed in track(range(1, rounds + 1), "rounds", console=Console(stderr=True), transient=True):
        for name in next(orders):
            found[name].append(take[name](seed))
    return {name: np.array(samples) for name, samples in found.items()}


def table(found: dict[str, np.ndarray]) -> pd.DataFrame:
    """A row for each, with how many times as long as the loop before it takes."""
    rows = []
    for name, samples in found.items():
        low, middle, high = np.percentile(samples, [25, 50, 75])
        ratio = ratio_interval(samples, found[BEFORE])
        longer = f"{ratio.estimate:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if name != BEFORE else ""
        rows.append((name, f"{middle:.2f} ({low:.2f} to {high:.2f})", longer))
    return pd.DataFrame(rows, columns=["to the first batch", "s, median (quartiles)", "this / loop before (95%)"])


def main(
    rounds: Annotated[int, typer.Option(min=10, help="Of one process for each row.")] = 10,
    preset: Annotated[str, typer.Option(help="Size of the work.")] = "paper",
    out: Annotated[Path, typer.Option(help="The table.")] = HERE / "epyc-9004-2-cores" / "cost.md",
) -> None:
    """Measures and writes the table."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:

        def in_fresh_process(factory: str, cache: Path | None, seed: int) -> float:
            with concurrent.futures.ProcessPoolExecutor(1, context) as fresh:
                return fresh.submit(seconds, factory, preset, seed, cache).result()

        def of(factory: str, cache: Path | None) -> Callable[[int], float]:
            return functools.partial(in_fresh_process, factory, cache)

        take = {
            BEFORE: of(builtin.BEFORE, None),
            AFTER: of(builtin.AFTER, None),
            CACHED: of(builtin.AFTER, Path(folder)),
        }
        take[CACHED](0)
        found = in_turns(take, rounds)
    start_tensorflow()
    notes = [f"preset {preset}; {rounds} rounds, each row in a process of its own and each round from another seed"]
    notes.append(environment.machine(environment.environment()))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(markdown.render(Texts.of(table(found)), notes), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
