"""Estimates the limits of the built-in pair on 1 to 1,024 GPUs: all-reduced bytes against the work of a batch.

    python results/scaling/devices.py      # about two minutes; writes epyc-9004-2-cores/devices.md

No GPU was used. Parameters and bytes are counted in the built networks, multiplications by formula (`Work`), compared
with TensorFlow's own count for graphs of the same parts; ms/batch on a CPU are measured. The time on a GPU is estimated
as the larger of launching the kernels and of the multiplications at peak speed. The time of all-reduces is modelled by
`all_reduce.py`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tensorflow as tf
import typer
from all_reduce import GPUS_A_MACHINE, NETWORKS, Network, all_reduce
from rich.console import Console
from rich.progress import track

from loop_bench import builtin
from loop_bench.experiments import registry
from loop_bench.loop import LoopSpec, build, load
from loop_bench.machine import environment
from loop_bench.report import markdown
from loop_bench.report.texts import Texts
from loop_bench.seqgan import dataset
from loop_bench.seqgan.config import PRESETS, Config
from loop_bench.seqgan.networks import Networks

HERE = Path(__file__).parent
PROFILE = HERE.parent / "profile" / "epyc-9004-2-cores" / "profile.json"

GPUS = (2, 8, 16, 64, 256, 1024)

PEAK = 67e12
"""float32 FLOP/s of an H100 SXM without tensor cores, from NVIDIA's data sheet. It was not measured here, and matrices
as small as these do not come near it."""

LAUNCH = 3.0e-6
"""Seconds to launch a kernel: cuLaunchKernel takes 3.0 to 3.3 µs on a GB200 in meta-pytorch/tritonbench, pull request
1017. Kernels launched at this rate leave a GPU no idle time."""

FUSED = 6
"""Kernels per token, if everything but the matrix products of a step is fused: a low assumption. Two products and the
kernel around them when a line is drawn, and the same in the backward pass."""

OTHERS = 60
"""Other kernels per batch, for the discriminator's pass, both optimizers and guards: an assumption."""

METRICS = 4
"""Numbers per batch that are reduced for its metrics."""


@dataclasses.dataclass(frozen=True)
class Work:
    """FLOP of a batch of the loop after, from its config: 2 (a multiplication and an addition) for each weight used.

    Only matrix products count; the rest is 1% to 2% of what TensorFlow counts in the same graphs.
    """

    config: Config

    @property
    def token(self) -> int:
        """FLOP of the generator to draw one token of one line."""
        config = self.config
        lstm = (3 * config.embedding_size + config.hidden_size) * 4 * config.hidden_size
        return 2 * (lstm + config.hidden_size * config.vocabulary_size)

    @property
    def judged(self) -> int:
        """FLOP of the discriminator for one line: each filter at each position of its window."""
        config = self.config
        positions = sum(width * (config.sequence_length - width + 1) for width in config.filter_widths)
        return 2 * config.filters * (positions * config.embedding_size + len(config.filter_widths))

    def batch(self, lines: float) -> float:
        """FLOP of a batch of lines: each is drawn once, with a backward pass (twice the work), and judged once.

        The discriminator learns from twice as many lines, at three times the work of a forward pass each.
        """
        config = self.config
        drawn = 3 * config.sequence_length * self.token
        return lines * (drawn + (3 * 2 + 1) * self.judged)


class Reduced(NamedTuple):
    """The size of a network's gradients, which are all-reduced."""

    tensors: int
    parameters: int

    @property
    def size(self) -> int:
        """Bytes of the gradients, in float32."""
        return 4 * self.parameters

    @classmethod
    def of(cls, variables: Sequence[Any]) -> Reduced:
        """Counts tensors and parameters of variables."""
        return cls(len(variables), sum(int(np.prod(variable.shape)) for variable in variables))


class Counted(NamedTuple):
    """The work of a preset, and the sizes of its networks."""

    work: Work
    generator: Reduced
    discriminator: Reduced

    @classmethod
    def of(cls, preset: str) -> Counted:
        """Builds the networks of a preset."""
        config = Config.preset(preset)
        built = Networks(config, dataset.load(config).sizes)
        networks = (built.generator, built.discriminator)
        return cls(Work(config), *(Reduced.of(network.trainable_variables) for network in networks))

    @property
    def messages(self) -> list[int]:
        """Bytes of the all-reduces of a batch, with each network's gradients packed into one message.

        The other two are the number of tokens that a loss is divided by, which differs between replicas because lines
        have different lengths, and the metrics.
        """
        return [self.generator.size, self.discriminator.size, 4, 4 * METRICS]

    @property
    def unpacked(self) -> list[int]:
        """Bytes of the all-reduces with a message per tensor, all of the mean size (the model is linear in bytes)."""
        networks = self.generator, self.discriminator
        sizes = [network.size // network.tensors for network in networks for _ in range(network.tensors)]
        return sizes + self.messages[2:]

    def launches(self, a_token: float) -> float:
        """Kernels of a batch, which do not depend on its number of lines."""
        return OTHERS + a_token * self.work.config.sequence_length

    def seconds(self, lines: float) -> float:
        """The least time of one GPU for a batch of lines, in seconds."""
        return max(LAUNCH * self.launches(FUSED), self.work.batch(lines) / PEAK)


def reduced(messages: Sequence[int], gpus: int, network: Network) -> float:
    """Seconds of all all-reduces of a batch, one after the other, because each step needs the result of the last."""
    return sum(all_reduce(size, gpus, network) for size in messages)


def speed_up(counted: Counted, gpus: int, network: Network) -> float | None:
    """Speed-up over one GPU if a batch is divided among several; None: there are more GPUs than lines."""
    lines = counted.work.config.batch_size
    if gpus > lines:
        return None
    return counted.seconds(lines) / (counted.seconds(lines / gpus) + reduced(counted.messages, gpus, network))


def efficiency(counted: Counted, gpus: int, network: Network, packed: bool = True) -> float:
    """Throughput of each GPU with a batch of its own, as a share of that of a single GPU."""
    alone = counted.seconds(counted.work.config.batch_size)
    return alone / (alone + reduced(counted.messages if packed else counted.unpacked, gpus, network))


def float_operations(function: Callable[..., Any], *shapes: tf.TensorSpec) -> int:
    """FLOP of a graph without loops, counted by TensorFlow's profiler."""
    graph = tf.function(function, autograph=False).get_concrete_function(*shapes).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    profile = tf.compat.v1.profiler.profile(graph, cmd="scope", options=options.with_empty_output().build())
    return int(profile.total_float_ops)


def counted_by_tensorflow(preset: str) -> tuple[int, int]:
    """FLOP of the graphs that draw a token of each line, and that judge all lines, counted by TensorFlow.

    The counts by formula are `Work.token` and `Work.judged`, times the number of lines.
    """
    config = Config.preset(preset)
    networks, lines = Networks(config, dataset.load(config).sizes), config.batch_size
    state = tf.TensorSpec([lines, config.hidden_size])

    def step(token: tf.Tensor, condition: tf.Tensor, hidden: tf.Tensor, carry: tf.Tensor) -> tf.Tensor:
        return networks.generator.logits(networks.generator.advance(token, condition, (hidden, carry))[0])

    condition = tf.TensorSpec([lines, 2 * config.embedding_size])
    drawn = float_operations(step, tf.TensorSpec([lines], tf.int32), condition, state, state)
    tokens = tf.TensorSpec([lines, config.sequence_length], tf.int32)
    return drawn, float_operations(networks.discriminator.call, tokens)


def measured(preset: str, batches: int = 5) -> float:
    """ms/batch of the loop after on this machine: the record's median, or the least of some batches timed here."""
    path = HERE.parent / "epyc-9004-2-cores" / f"{preset}.json"
    if path.exists():
        rounds = registry.read(path).rounds  # type: ignore[attr-defined]
        return float(np.median([1e3 * timed.seconds["after"] / timed.batches for timed in rounds]))
    loop = build(builtin.AFTER, load(builtin.AFTER), LoopSpec(preset))
    loop.run(1)
    milliseconds = []
    for _ in range(batches):
        tf.test.experimental.sync_devices()
        started = time.perf_counter()
        loop.run(1)
        tf.test.experimental.sync_devices()
        milliseconds.append(1e3 * (time.perf_counter() - started))
    return min(milliseconds)


def ops_a_batch() -> float:
    """Ops per batch of the loop before, from its profile on a CPU at preset paper."""
    record = registry.read(PROFILE)
    arm, batches = record.arms["before"], record.settings.batches  # type: ignore[attr-defined]
    return float(sum(op.count for op in arm.ops) / batches)


def of_presets(presets: dict[str, Counted]) -> Texts:
    """The table of presets: counted sizes and work, time measured on a CPU, and estimates for a GPU."""
    columns = [
        "preset",
        "lines a batch × tokens",
        "generator: tensors, MB all-reduced",
        "discriminator",
        "GFLOP a batch",
        "TensorFlow / by hand: a token, a line judged",
        "ms/batch on 2 CPU cores",
        f"ms at {PEAK / 1e12:.0f} TFLOP/s",
        "ms to launch the kernels",
    ]
    rows = []
    for preset, counted in track(presets.items(), "presets", console=Console(stderr=True), transient=True):
        config, work = counted.work.config, counted.work
        drawn, judged = (flop / config.batch_size for flop in counted_by_tensorflow(preset))
        rows.append((
            preset,
            f"{config.batch_size} × {config.sequence_length}",
            *(f"{size.tensors}, {size.size / 1e6:.3g}" for size in (counted.generator, counted.discriminator)),
            f"{work.batch(config.batch_size) / 1e9:.3g}",
            f"{drawn / work.token:.3f}, {judged / work.judged:.3f}",
            f"{measured(preset):.3g}",
            f"{1e3 * work.batch(config.batch_size) / PEAK:.3g}",
            f"{1e3 * LAUNCH * counted.launches(FUSED):.3g}",
        ))  # fmt: skip
    return Texts(columns, rows)


def of_all_reduces(presets: dict[str, Counted]) -> Texts:
    """The table of all-reduces: milliseconds for a batch."""
    rows = [
        (preset, network.name, *(f"{1e3 * reduced(counted.messages, gpus, network):.3g}" for gpus in GPUS))
        for preset, counted in presets.items()
        for network in NETWORKS
    ]
    return Texts(["preset", "between machines", *(f"{gpus} GPUs, ms" for gpus in GPUS)], rows)


def of_strong_scaling(presets: dict[str, Counted]) -> Texts:
    """The table of strong scaling: speed-up over one GPU, with the preset's batch divided."""
    rows = [
        (preset, network.name, *(_times(speed_up(counted, gpus, network)) for gpus in GPUS))
        for preset, counted in presets.items()
        for network in NETWORKS
    ]
    return Texts(["preset", "between machines", *(f"{gpus} GPUs" for gpus in GPUS)], rows)


def of_weak_scaling(presets: dict[str, Counted]) -> Texts:
    """The table of weak scaling: efficiency with the preset's batch on each GPU, gradients packed (or by tensor)."""
    rows = [
        (
            preset,
            network.name,
            *(f"{efficiency(counted, n, network):.0%} ({efficiency(counted, n, network, False):.0%})" for n in GPUS),
        )
        for preset, counted in presets.items()
        for network in NETWORKS
    ]
    return Texts(["preset", "between machines", *(f"{gpus} GPUs" for gpus in GPUS)], rows)


def _times(value: float | None) -> str:
    return "no line left" if value is None else f"{value:.2f}×"


def main(
    out: Annotated[Path, typer.Option(help="File for the tables.")] = HERE / "epyc-9004-2-cores" / "devices.md",
) -> None:
    """Counts, measures, models, and writes the tables."""
    presets = {preset: Counted.of(preset) for preset in PRESETS}
    ops = ops_a_batch()
    notes = [
        "counted: tensors, bytes, GFLOP (by formula, beside TensorFlow's count of the same graphs); measured: ms/batch "
        "on the CPU; estimated: all of GPUs; modelled: all of all-reduces. Nothing has been run on a GPU",
        "ms/batch at tiny and paper are medians of the records of this machine; at script the least of five "
        "batches, timed by this script",
        f"launches: {FUSED} kernels a token and {OTHERS} others, {1e6 * LAUNCH:g} µs each; the loop before runs "
        f"{ops:.0f} ops a batch at paper, which would take {1e3 * LAUNCH * ops:.2g} ms",
        f"{GPUS_A_MACHINE} GPUs a machine; nothing of an all-reduce overlaps with work",
        environment.machine(environment.environment()),
    ]
    titled = {
        "Networks, and the work of a batch": of_presets(presets),
        "All-reduces of a batch": of_all_reduces(presets),
        "The batch divided among GPUs: speed-up over one": of_strong_scaling(presets),
        "A batch for each GPU: efficiency, gradients packed (each tensor by itself)": of_weak_scaling(presets),
    }
    parts = [f"### {title}\n\n{markdown.render(texts)}" for title, texts in titled.items()]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join([*parts, markdown.notes(notes)]), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
