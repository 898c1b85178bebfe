"""Measures the time to first batch of each loop: compiled anew, and with a compile cache filled from another seed.

    python results/first_batch/cost.py         # four minutes; writes epyc-9004-2-cores/cost.md

The time is the harness's: from calling the factory to the end of the first batch (`loop_bench.timing.clock.start`),
with TensorFlow imported and started. Each measurement has a process of its own; loops alternate, and each round has
another seed. The cache is that of `python -m loop_bench.seqgan train` (`loop_bench.seqgan.device.CompileCache`), filled
once from seed 0.
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
    """Seconds to the first batch of a loop; call it in a process that has not imported TensorFlow."""
    compile_cache = CompileCache(cache) if cache else None
    if compile_cache:
        compile_cache.open()
    start_tensorflow()
    loop = load(factory)
    clock.warm_up()
    _, start = clock.start(factory, loop, LoopSpec(preset, seed))
    if compile_cache:
        compile_cache.close()
    return start.seconds


def in_turns(take: dict[str, Callable[[int], float]], rounds: int) -> dict[str, np.ndarray]:
    """Measures alternately, in balanced orders, each round with another seed; returns seconds by name, [rounds]."""
    orders = balanced_orders([*take])
    samples: dict[str, list[float]] = {name: [] for name in take}
    for seed in track(range(1, rounds + 1), "rounds", console=Console(stderr=True), transient=True):
        for name in next(orders):
            samples[name].append(take[name](seed))
    return {name: np.array(of_name) for name, of_name in samples.items()}


def table(samples: dict[str, np.ndarray]) -> pd.DataFrame:
    """The table with a row for each kind of start: seconds, and their ratio to those of the loop before."""
    rows = []
    for name, of_name in samples.items():
        low, middle, high = np.percentile(of_name, [25, 50, 75])
        ratio = ratio_interval(of_name, samples[BEFORE])
        longer = f"{ratio.estimate:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if name != BEFORE else ""
        rows.append((name, f"{middle:.2f} ({low:.2f} to {high:.2f})", longer))
    return pd.DataFrame(rows, columns=["to the first batch", "s, median (quartiles)", "this / loop before (95%)"])


def main(
    rounds: Annotated[int, typer.Option(min=10, help="Rounds, each with one process for each row.")] = 10,
    preset: Annotated[str, typer.Option(help="Size of the work.")] = "paper",
    out: Annotated[Path, typer.Option(help="File for the table.")] = HERE / "epyc-9004-2-cores" / "cost.md",
) -> None:
    """Measures and writes the table."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:

        def in_fresh_process(factory: str, cache: Path | None, seed: int) -> float:
            with concurrent.futures.ProcessPoolExecutor(1, context) as fresh:
                return fresh.submit(seconds, factory, preset, seed, cache).result()

        def timer(factory: str, cache: Path | None) -> Callable[[int], float]:
            return functools.partial(in_fresh_process, factory, cache)

        take = {
            BEFORE: timer(builtin.BEFORE, None),
            AFTER: timer(builtin.AFTER, None),
            CACHED: timer(builtin.AFTER, Path(folder)),
        }
        take[CACHED](0)
        samples = in_turns(take, rounds)
    start_tensorflow()
    notes = [f"preset {preset}; {rounds} rounds, each row in a process of its own and each round from another seed"]
    notes.append(environment.machine(environment.environment()))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(markdown.render(Texts.of(table(samples)), notes), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
