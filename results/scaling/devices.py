"""What would limit the built-in pair from 1 to 1,024 GPUs: bytes that are all-reduced against work of a batch.

    python results/scaling/devices.py      # about two minutes; writes epyc-9004-2-cores/devices.md

No GPU has been used. Parameters and bytes are counted in the networks as they are built, multiplications by formula
(`Work`), which TensorFlow's own count of graphs of the same parts is held against; ms/batch on a CPU are measured. What
a GPU would take is an estimate: never less than to launch the kernels, nor than the multiplications at its peak.
What all-reduces would take is a model: `all_reduce.py`.
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
"""float32 FLOP/s of an H100 SXM without its tensor cores, by NVIDIA's data sheet. None of it was measured here, and
matrices as small as these come nowhere near."""

LAUNCH = 3.0e-6
"""Seconds to launch a kernel: 3.0 to 3.3 µs of cuLaunchKernel on a GB200 in meta-pytorch/tritonbench, pull request
1017. Kernels that follow each other as fast as that leave a GPU no time between them."""

FUSED = 6
"""Kernels a token, in a program in which all but the products of a step are one: an assumption, and a low one. Two
products and what is around them on the way of drawing a line, the same on the way back."""

OTHERS = 60
"""Kernels a batch besides: the discriminator's pass, both optimizers, guards. An assumption."""

METRICS = 4
"""Numbers of a batch that are reduced for its row of metrics."""


@dataclasses.dataclass(frozen=True)
class Work:
    """What a batch of the loop after is, by its config: multiplications and additions, 2 for each weight used.

    Everything but matrix products is left out, which is 1% to 2% of what TensorFlow counts in the same graphs.
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
        """FLOP of the discriminator for one line: each filter at each place of its window."""
        config = self.config
        places = sum(width * (config.sequence_length - width + 1) for width in config.filter_widths)
        return 2 * config.filters * (places * config.embedding_size + len(config.filter_widths))

    def batch(self, lines: float) -> float:
        """FLOP of a batch of lines: each is drawn once, its pass is gone back (twice the work), and it is judged.

        The discriminator learns from twice as many lines, three times the work of a pass each, and judges once more.
        """
        config = self.config
        drawn = 3 * config.sequence_length * self.token
        return lines * (drawn + (3 * 2 + 1) * self.judged)


class Reduced(NamedTuple):
    """A network as it is all-reduced."""

    tensors: int
    parameters: int

    @property
    def size(self) -> int:
        """Bytes of its gradients, float32."""
        return 4 * self.parameters

    @classmethod
    def of(cls, variables: Sequence[Any]) -> Reduced:
        """Counts variables."""
        return cls(len(variables), sum(int(np.prod(variable.shape)) for variable in variables))


class Counted(NamedTuple):
    """A preset: its work, and its networks as they are built."""

    work: Work
    generator: Reduced
    discriminator: Reduced

    @classmethod
    def of(cls, preset: str) -> Counted:
        """Builds the networks of a preset."""
        config = Config.preset(preset)
        networks = Networks(config, dataset.load(config).sizes)
        found = (networks.generator, networks.discriminator)
        return cls(Work(config), *(Reduced.of(each.trainable_variables) for each in found))

    @property
    def messages(self) -> list[int]:
        """Bytes of the all-reduces of a batch, each network's gradients packed into one.

        Besides them the number of tokens that a loss is divided by, which lines that end at their own length make
        different on each replica, and the metrics.
        """
        return [self.generator.size, self.discriminator.size, 4, 4 * METRICS]

    @property
    def unpacked(self) -> list[int]:
        """All-reduces with a message for each tensor, all of the mean size, which a model linear in bytes may take."""
        both = self.generator, self.discriminator
        return [each.size // each.tensors for each in both for _ in range(each.tensors)] + self.messages[2:]

    def launches(self, a_token: float) -> float:
        """Kernels of a batch, whatever its number of lines."""
        return OTHERS + a_token * self.work.config.sequence_length

    def seconds(self, lines: float) -> float:
        """What one GPU takes at least for a batch of lines."""
        return max(LAUNCH * self.launches(FUSED), self.work.batch(lines) / PEAK)


def reduced(messages: Sequence[int], gpus: int, network: Network) -> float:
    """Seconds of all all-reduces of a batch, one after the other: the next step needs what each gives."""
    return sum(all_reduce(size, gpus, network) for size in messages)


def speed_up(counted: Counted, gpus: int, network: Network) -> float | None:
    """Times as many batches a second as one GPU makes, of a batch that is divided; None where a GPU would have none."""
    lines = counted.work.config.batch_size
    if gpus > lines:
        return None
    return counted.seconds(lines) / (counted.seconds(lines / gpus) + reduced(counted.messages, gpus, network))


def efficiency(counted: Counted, gpus: int, network: Network, packed: bool = True) -> float:
    """Share of one GPU's lines a second that each makes where each has a batch of its own."""
    alone = counted.seconds(counted.work.config.batch_size)
    return alone / (alone + reduced(counted.messages if packed else counted.unpacked, gpus, network))


def float_operations(function: Callable[..., Any], *shapes: tf.TensorSpec) -> int:
    """FLOP of a graph without loops, as TensorFlow's profiler counts them."""
    graph = tf.function(function, autograph=False).get_concrete_function(*shapes).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    found = tf.compat.v1.profiler.profile(graph, cmd="scope", options=options.with_empty_output().build())
    return int(found.total_float_ops)


def counted_by_tensorflow(preset: str) -> tuple[int, int]:
    """FLOP of the graphs of a step that draws a token of each line, and of a pass of the discriminator over all lines.

    Their counts by hand are `Work.token` and `Work.judged`, times the lines.
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
    """ms/batch of the loop after on this machine: the record's median, or else the least of some batches now."""
    path = HERE.parent / "epyc-9004-2-cores" / f"{preset}.json"
    if path.exists():
        rounds = registry.read(path).rounds  # type: ignore[attr-defined]
        return float(np.median([1e3 * each.seconds["after"] / each.batches for each in rounds]))
    loop = build(builtin.AFTER, load(builtin.AFTER), LoopSpec(preset))
    loop.run(1)
    found = []
    for _ in range(batches):
        tf.test.experimental.sync_devices()
        started = time.perf_counter()
        loop.run(1)
        tf.test.experimental.sync_devices()
        found.append(1e3 * (time.perf_counter() - started))
    return min(found)


def ops_a_batch() -> float:
    """Ops that the loop before was seen to run a batch, on a CPU at preset paper."""
    record = registry.read(PROFILE)
    arm, batches = record.arms["before"], record.settings.batches  # type: ignore[attr-defined]
    return float(sum(op.count for op in arm.ops) / batches)


def of_presets(presets: dict[str, Counted]) -> Texts:
    """What is counted of each preset, measured on a CPU, and estimated for a GPU."""
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
        drawn, judged = (each / config.batch_size for each in counted_by_tensorflow(preset))
        rows.append((
            preset,
            f"{config.batch_size} × {config.sequence_length}",
            *(f"{each.tensors}, {each.size / 1e6:.3g}" for each in (counted.generator, counted.discriminator)),
            f"{work.batch(config.batch_size) / 1e9:.3g}",
            f"{drawn / work.token:.3f}, {judged / work.judged:.3f}",
            f"{measured(preset):.3g}",
            f"{1e3 * work.batch(config.batch_size) / PEAK:.3g}",
            f"{1e3 * LAUNCH * counted.launches(FUSED):.3g}",
        ))  # fmt: skip
    return Texts(columns, rows)


def of_all_reduces(presets: dict[str, Counted]) -> Texts:
    """Milliseconds of the all-reduces of a batch."""
    rows = [
        (preset, network.name, *(f"{1e3 * reduced(counted.messages, gpus, network):.3g}" for gpus in GPUS))
        for preset, counted in presets.items()
        for network in NETWORKS
    ]
    return Texts(["preset", "between machines", *(f"{gpus} GPUs, ms" for gpus in GPUS)], rows)


def of_strong_scaling(presets: dict[str, Counted]) -> Texts:
    """Speed-up over one GPU at the preset's batch, which is divided."""
    rows = [
        (preset, network.name, *(_times(speed_up(counted, gpus, network)) for gpus in GPUS))
        for preset, counted in presets.items()
        for network in NETWORKS
    ]
    return Texts(["preset", "between machines", *(f"{gpus} GPUs" for gpus in GPUS)], rows)


def of_weak_scaling(presets: dict[str, Counted]) -> Texts:
    """Efficiency where each GPU has the preset's batch, with gradients packed and, in brackets, by tensor."""
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
    out: Annotated[Path, typer.Option(help="The tables.")] = HERE / "epyc-9004-2-cores" / "devices.md",
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
