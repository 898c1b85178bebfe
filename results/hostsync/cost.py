"""Measures the cost of recording host syncs: of a loop without reads, and of single reads.

    python results/hostsync/cost.py         # about two minutes; writes cost.md

Blocks with and without a recorder alternate in random order within one process, so that drift of the machine affects
both; the ratio and its interval are the harness's own (`loop_bench.statistics.ratio_interval`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
import typer
from rich.console import Console
from rich.progress import track
from scipy import stats

from loop_bench import hostsync
from loop_bench.machine import environment
from loop_bench.report import markdown
from loop_bench.report.texts import Texts
from loop_bench.statistics import ratio_interval

HERE = Path(__file__).parent
BLOCK_SECONDS = 0.01  # short, to fit many blocks, because noise differs from block to block
DEPTH = 20  # user frames below a read: the call site is near, whatever is further out

Block = Callable[[int], None]


def graph_step() -> Block:
    """A training step in one graph call, like that of most loops, without reads."""
    model = keras.Sequential([keras.layers.Dense(64, "relu"), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam()
    x, y = tf.random.normal([64, 32]), tf.random.normal([64, 1])
    model(x)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x) - y))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    def block(count: int) -> None:
        for _ in range(count):
            step()

    return block


def eager_ops() -> Block:
    """Eager ops on small tensors only: the most Python that TensorFlow can be made to run."""
    x = tf.random.normal([16, 16])

    def block(count: int) -> None:
        for _ in range(count):
            tf.nn.relu(tf.matmul(x, x) + 1.0)

    return block


def reading(read: Callable[[tf.Tensor], object], value: tf.Tensor) -> Block:
    """A block that only reads."""

    def block(count: int) -> None:
        deep(DEPTH, lambda: [read(value) for _ in range(count)])

    return block


def deep(depth: int, call: Callable[[], object]) -> object:
    """Calls a function from below this many frames."""
    return deep(depth - 1, call) if depth else call()


def blocks(block: Block, count: int, pairs: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of blocks without and with a recorder, [pairs] each."""
    random = np.random.default_rng(0)
    seconds = np.zeros([pairs, 2])
    for number in track(range(pairs), name, console=Console(stderr=True), transient=True):
        for recording in random.permutation(2):
            with hostsync.record() if recording else contextlib.nullcontext():
                started = time.perf_counter()
                block(count)
                tf.test.experimental.sync_devices()
                seconds[number, recording] = time.perf_counter() - started
    return seconds[:, 0], seconds[:, 1]


def count_for(block: Block) -> int:
    """The number of repetitions that take about BLOCK_SECONDS."""
    block(20)
    started = time.perf_counter()
    block(100)
    return max(1, int(BLOCK_SECONDS * 100 / (time.perf_counter() - started)))


def main(
    pairs: Annotated[
        int, typer.Option(min=10, help="Pairs of blocks of a loop, one with and one without a recorder.")
    ] = 2000,
    reads: Annotated[int, typer.Option(min=10, help="Pairs of blocks of reads.")] = 300,
    out: Annotated[Path, typer.Option(help="File for the tables.")] = HERE / "epyc-9004-2-cores" / "cost.md",
) -> None:
    """Measures and writes the tables."""
    vector, scalar = tf.constant([1.0, 2.0]), tf.constant(2.0)
    loops = {"a training step a graph call, no reads": graph_step(), "eager ops, no reads": eager_ops()}
    routes = {
        "`t.numpy()`": reading(lambda t: t.numpy(), vector),
        "`float(t)`": reading(float, scalar),
        "`np.asarray(t)`": reading(np.asarray, vector),
        "`np.mean(t)`": reading(np.mean, vector),
        "`np.from_dlpack(t)`": reading(np.from_dlpack, vector),
    }
    rows = []
    for name, block in loops.items():
        without, recorded = blocks(block, count_for(block), pairs, name)
        ratio = ratio_interval(recorded, without)
        rows.append((name, f"{ratio.estimate:.4f} ({ratio.low:.4f} to {ratio.high:.4f})"))
    loop_table = Texts(["loop", "time with a recorder / without (95%)"], rows)
    rows = []
    for name, block in routes.items():
        count = count_for(block)
        without, recorded = (1e6 * seconds / count for seconds in blocks(block, count, reads, name))
        ratio = ratio_interval(recorded, without)
        more = stats.bootstrap((recorded - without,), np.mean, method="percentile", random_state=0).confidence_interval
        middle = f"{np.mean(recorded - without):.1f} ({more.low:.1f} to {more.high:.1f})"
        rows.append((name, f"{np.median(without):.2f}", f"{np.median(recorded):.2f}", middle, f"{ratio.estimate:.1f}"))
    columns = ["read", "µs without", "µs with", "µs more, mean (95%)", "with / without"]
    notes = [
        f"{pairs} pairs of blocks of a loop, {reads} of reads ({DEPTH} frames deep), "
        f"each block of about {1e3 * BLOCK_SECONDS:g} ms",
        environment.machine(environment.environment()),
    ]
    tables = [markdown.render(loop_table), markdown.render(Texts(columns, rows), notes)]
    out.write_text("\n".join(tables), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
