"""Measures a generator step with rollouts: folded into a batch, and with one call for each rollout and prefix.

    python results/rollouts/cost.py         # two to four minutes; writes epyc-9004-2-cores/cost.md

A generator step draws a batch of lines, rewards each of their tokens by Monte Carlo, and makes one policy gradient
update. The plain step calls a graph for each rollout of each prefix, which reads the prefix without computing logits,
draws the rest of the line, and judges it: 304 calls at 16 rollouts of lines of 20 tokens. The steps alternate in random
order within one process; the ratio and its interval are the harness's own (`loop_bench.statistics.ratio_interval`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import tensorflow as tf
import typer
from rich.console import Console
from rich.progress import track

from loop_bench.baseline.loop import BaselineLoop
from loop_bench.machine import environment
from loop_bench.report import markdown
from loop_bench.report.texts import Texts
from loop_bench.seqgan import dataset, sampler
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.generator import START
from loop_bench.seqgan.loop import OptimizedLoop
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.sampler import draw_seed
from loop_bench.statistics import ratio_interval

HERE = Path(__file__).parent


class PlainRollouts:
    """Computes rewards with one call for each rollout and prefix.

    Args:
        networks: the generator completes lines, the discriminator judges them.
        config: has the number of rollouts.
    """

    def __init__(self, networks: Networks, config: Config) -> None:
        self._networks = networks
        self._config = config
        self._judge_one = tf.function(self._complete_and_judge)
        self._judge = tf.function(networks.discriminator.call)

    def __call__(self, *known: tf.Tensor) -> tf.Tensor:
        """Rewards [B, T], given tokens [B, T], character [B], scene [B] and temperature."""
        length, count = self._config.sequence_length, self._config.rollouts
        by_prefix = []
        for prefix in range(1, length):
            judged = [
                self._judge_one(*known, tf.constant(prefix), tf.constant((number * length + prefix) * length))
                for number in range(count)
            ]
            by_prefix.append(tf.reduce_mean(tf.stack(judged), axis=0))
        return tf.stack([*by_prefix, self._judge(known[0])], axis=1)

    def _complete_and_judge(
        self,
        tokens: tf.Tensor,
        character: tf.Tensor,
        scene: tf.Tensor,
        temperature: tf.Tensor,
        prefix: tf.Tensor,
        first: tf.Tensor,
    ) -> tf.Tensor:
        generator, length = self._networks.generator, self._config.sequence_length
        batch = tokens.shape[0]
        condition, given = generator.condition(character, scene), tf.transpose(tokens)

        def read(time: tf.Tensor, token: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor]) -> tuple[object, ...]:
            return time + 1, given[time], generator.advance(token, condition, state)[1]

        def draw(
            time: tf.Tensor, token: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor], lines: tf.TensorArray
        ) -> tuple[object, ...]:
            hidden, state = generator.advance(token, condition, state)
            logits = generator.logits(hidden) / temperature
            token = sampler.inverse_cdf(logits, draw_seed(self._config.seed, first + time))
            return time + 1, token, state, lines.write(time, token)

        start = (0, tf.fill([batch], START), generator.initial_state(batch))
        time, token, state = tf.while_loop(lambda time, *_: time < prefix, read, start)
        lines = tf.TensorArray(tf.int32, size=length, element_shape=[batch]).unstack(given)  # noqa: PD010
        *_, lines = tf.while_loop(lambda time, *_: time < length, draw, (time, token, state, lines))
        return self._networks.discriminator(tf.transpose(lines.stack()))  # noqa: PD013


def step(
    loop: OptimizedLoop | BaselineLoop, conditions: tuple[tf.Tensor, ...], rewards: Callable[..., tf.Tensor]
) -> None:
    """Runs one generator step of a loop, and waits until the device has finished it."""
    known = loop.generate_fake_samples(*conditions, tf.constant(0)), *conditions
    loop.train_generator_adversarial(*known, rewards(*known))
    tf.test.experimental.sync_devices()


def main(
    rounds: Annotated[int, typer.Option(min=10, help="Rounds, each with one step of each kind.")] = 12,
    rollouts: Annotated[int, typer.Option(min=1, help="Completions of each prefix.")] = 16,
    preset: Annotated[str, typer.Option(help="Size of the work.")] = "paper",
    out: Annotated[Path, typer.Option(help="File for the table.")] = HERE / "epyc-9004-2-cores" / "cost.md",
) -> None:
    """Measures and writes the table."""
    config = Config.preset(preset, rollouts=rollouts)
    data = dataset.load(config)
    after, before = OptimizedLoop(config, data), BaselineLoop(config, data)
    rows = slice(0, config.batch_size)
    conditions = (tf.constant(data.character[rows]), tf.constant(data.scene[rows]), tf.constant(1.0))
    plain, draw = PlainRollouts(after.networks, config), tf.constant(0)
    steps = {
        "plain: a call for each rollout and prefix": lambda: step(after, conditions, plain),
        "loop before: folded": lambda: step(before, conditions, lambda *known: before.rollout_rewards(*known, draw)),
        "loop after: folded, XLA": lambda: step(after, conditions, lambda *known: after.rollout_rewards(*known, draw)),
    }
    seconds = time_in_turns(steps, rounds)
    reference = next(iter(steps))
    table = []
    for name, samples in seconds.items():
        low, middle, high = np.percentile(samples, [25, 50, 75])
        ratio = ratio_interval(seconds[reference], samples)
        faster = f"{ratio.estimate:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if name != reference else ""
        table.append((name, f"{middle:.2f} ({low:.2f} to {high:.2f})", faster))
    frame = pd.DataFrame(table, columns=["generator step", "s, median (quartiles)", "plain / this (95%)"])
    notes = [
        f"preset {preset}, rollouts={rollouts}: {rollouts * (config.sequence_length - 1)} calls in the plain step; "
        f"{rounds} rounds, the plain step with the compiled sampler and update of the loop after",
        environment.machine(environment.environment()),
    ]
    out.write_text(markdown.render(Texts.of(frame), notes), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


def time_in_turns(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, np.ndarray]:
    """Times steps in rounds of random order, after two untimed runs of each; returns seconds by name, [rounds]."""
    random = np.random.default_rng(0)
    for warm_up in steps.values():
        warm_up()
        warm_up()
    samples: dict[str, list[float]] = {name: [] for name in steps}
    for _ in track(range(rounds), "rounds", console=Console(stderr=True), transient=True):
        for name in random.permutation(list(steps)):
            started = time.perf_counter()
            steps[name]()
            samples[name].append(time.perf_counter() - started)
    return {name: np.array(of_step) for name, of_step in samples.items()}


if __name__ == "__main__":
    typer.run(main)
