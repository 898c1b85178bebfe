"""Rollouts: the reward of each token, as the mean over Monte Carlo completions of the line up to the token.

Yu et al., SeqGAN (2017), equation 4: the reward of token t is the discriminator's mean probability over N lines that
begin with tokens 0 to t and are completed by the generator; the reward of the last token is that of the line itself.

A plain implementation calls the generator for each prefix and each rollout. Here all of them are rows of one batch. The
states of the LSTM after each prefix come from one pass over the lines, so that no rollout reads its prefix again. The
completion of a prefix of p tokens takes T - p draws, and that of a prefix of T - p tokens takes p: placed end to end in
one row they take T, so that rows of equal length contain all prefixes, and no draw is wasted (except for p = T / 2,
which its row contains twice).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from loop_bench.seqgan import device
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.discriminator import Discriminator
from loop_bench.seqgan.generator import START, Generator, logits_at
from loop_bench.seqgan.recurrence import Recurrence
from loop_bench.seqgan.sampler import Sampler, draw_seed
from loop_bench.seqgan.tracing import as_written
from loop_bench.seqgan.vocabulary import END

CPU_BYTES = 2**23
"""Bytes of logits of the rows completed at a time on a CPU: more exceed its cache, fewer are too little work per op."""

GPU_BYTES = 2**29
"""Bytes of logits of the rows completed at a time on a GPU, which needs few, large calls. At preset `script`, the lines
that are judged at once need four times this in addition."""

SEED = 2**30
"""Offset from the seed of the run, so that rollouts do not draw the random numbers of loops with a near seed."""


class Prefixes(NamedTuple):
    """All prefixes of a batch's lines, with the state of the LSTM at each."""

    tokens: tf.Tensor  # [T, B] int32
    open: tf.Tensor  # [T, B] bool, whether the line has not ended within its first t tokens
    hidden: tf.Tensor  # [T, B, H] float32, hidden state of the LSTM before it reads the last of the first t tokens
    carry: tf.Tensor  # [T, B, H] float32, carry of the LSTM at the same place
    condition: tf.Tensor  # [B, 2E] float32


class Rollouts:
    """Computes the rewards of tokens from `config.rollouts` completions of each prefix.

    Args:
        generator: completes the lines.
        discriminator: judges the completed lines.
        sampler: draws tokens.
        config: config of the run, with the number of rollouts.
        compiled: whether XLA compiles the completion of a part of the rows.
    """

    def __init__(
        self, generator: Generator, discriminator: Discriminator, sampler: Sampler, config: Config, compiled: bool
    ) -> None:
        self._generator = generator
        self._discriminator = discriminator
        self._sampler = sampler
        self._count = config.rollouts
        self._length = config.sequence_length
        self._pairs = config.sequence_length // 2  # pairs of prefixes of p and T - p tokens
        self._pair_bytes = 4 * config.batch_size * generator.sizes.vocabulary  # bytes of the logits of a pair
        self._judge = tf.function(self._complete_and_judge, jit_compile=compiled, autograph=False)

    @as_written
    def __call__(
        self,
        tokens: tf.Tensor,
        character: tf.Tensor,
        scene: tf.Tensor,
        temperature: tf.Tensor,
        seed: int | tf.Tensor,
        draw: tf.Tensor,
    ) -> tf.Tensor:
        """Rewards [B, T] float32 of lines [B, T]; see `Generator.sample` for the rest."""
        prefixes = self._prefixes(tokens, character, scene)
        jobs = self._count * self._pairs
        parts = tf.reshape(tf.range(jobs), [-1, _divisor(jobs, _bytes() // self._pair_bytes)])
        first = tf.cast(draw, tf.int32) * jobs

        def judge(some: tf.Tensor) -> tf.Tensor:
            return self._judge(some, prefixes, temperature, seed, first)

        # Each part of the rows fits into a CPU's cache; several parts run at once on its cores.
        judged = tf.map_fn(judge, parts, fn_output_signature=tf.float32)  # [parts, some, 2, B]
        shape = [self._count, self._pairs, 2, tokens.shape[0]]
        short, long = tf.unstack(tf.reduce_mean(tf.reshape(judged, shape), axis=0), axis=1)  # [pairs, B] each
        # Pair k has prefixes of k + 1 and T - k - 1 tokens, which are equal for the last pair if T is even.
        by_prefix = [short, tf.reverse(long[: self._length - 1 - self._pairs], [0])]
        return tf.transpose(tf.concat([*by_prefix, self._discriminator(tokens)[None]], axis=0))

    def _prefixes(self, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor) -> Prefixes:
        generator = self._generator
        condition = generator.condition(character, scene)
        start = generator.initial_state(tokens.shape[0])
        by_time = tf.transpose(tokens)
        read = tf.concat([tf.fill([1, tokens.shape[0]], START), by_time[:-2]], axis=0)
        after = tf.scan(lambda state, token: generator.advance(token, condition, state)[1], read, start)
        hidden, carry = (tf.concat([first[None], rest], axis=0) for first, rest in zip(start, after, strict=True))
        ends = tf.cumsum(tf.cast(by_time == END, tf.int32), axis=0, exclusive=True)
        is_open = ends == 0 if generator.sizes.ends else tf.fill(by_time.shape, True)
        return Prefixes(by_time, is_open, hidden, carry, condition)

    def _complete_and_judge(
        self, jobs: tf.Tensor, prefixes: Prefixes, temperature: tf.Tensor, seed: int | tf.Tensor, first: tf.Tensor
    ) -> tf.Tensor:
        """Rewards [J, 2, B] of jobs [J] int32, each job being a pair of prefixes in one rollout."""
        short = jobs % self._pairs + 1  # [J], tokens in the shorter prefix of each pair
        drawn = self._complete(short, prefixes, temperature, seed, (first + jobs[0]) * self._length)  # [J, T, B]
        place = tf.range(self._length)[None]  # [1, T]
        given = prefixes.tokens[None]  # [1, T, B]
        # In a row, the completion of the shorter prefix comes first; that of the longer one is at its final place.
        moved = tf.gather(drawn, tf.maximum(place - short[:, None], 0), batch_dims=1)
        one = tf.where((place < short[:, None])[..., None], given, moved)
        other = tf.where((place < self._length - short[:, None])[..., None], given, drawn)
        lines = tf.transpose(tf.stack([one, other], axis=1), [0, 1, 3, 2])  # [J, 2, B, T]
        return tf.reshape(self._discriminator(tf.reshape(lines, [-1, self._length])), lines.shape[:3])

    def _complete(
        self, short: tf.Tensor, prefixes: Prefixes, temperature: tf.Tensor, seed: int | tf.Tensor, first: tf.Tensor
    ) -> tf.Tensor:
        """Draws completions [J, T, B]: for each p in `short` [J], T - p tokens after p, then p tokens after T - p."""
        generator = self._generator
        jobs, batch = short.shape[0], prefixes.tokens.shape[1]
        rows = jobs * batch
        once = Recurrence.of(generator, prefixes.condition)
        recurrence = once._replace(constant=tf.tile(once.constant, [jobs, 1]))
        layer = generator.layer_at(temperature)

        def after(length: tf.Tensor) -> tuple[tf.Tensor, ...]:
            """Last token, openness and state after the first `length` [J] tokens of each line; [rows, ...] each."""
            found = [tf.gather(prefixes.tokens, length - 1)]
            found += [tf.gather(each, length) for each in (prefixes.open, prefixes.hidden, prefixes.carry)]
            return tuple(tf.reshape(each, [rows, *each.shape[2:]]) for each in found)

        begin, again = after(short), after(self._length - short)
        turns = tf.repeat(self._length - short, batch)  # [rows], step at which the longer prefix starts

        def body(time: tf.Tensor, now: tuple[tf.Tensor, ...], drawn: tf.TensorArray) -> tuple[Any, ...]:
            turn = time == turns
            token, alive = (tf.where(turn, new, old) for new, old in zip(again[:2], now[:2], strict=True))
            hidden, carry = (tf.where(turn[:, None], new, old) for new, old in zip(again[2:], now[2:], strict=True))
            hidden, carry = recurrence.advance(generator.token_embedding(token), hidden, carry)
            token = self._sampler(logits_at(layer, hidden), draw_seed(seed + SEED, first + time))
            token, alive = generator.write(token, alive)
            return time + 1, (token, alive, hidden, carry), drawn.write(time, token)

        drawn = tf.TensorArray(tf.int32, size=self._length, element_shape=[rows])
        *_, drawn = tf.while_loop(lambda time, *_: time < self._length, body, (0, begin, drawn))
        return tf.transpose(tf.reshape(drawn.stack(), [self._length, jobs, batch]), [1, 0, 2])


def _bytes() -> int:
    return GPU_BYTES if device.on_gpu() else CPU_BYTES


def _divisor(of: int, most: int) -> int:
    """Largest divisor of `of` that is at most `most`, but at least 1."""
    return max(each for each in range(1, of + 1) if of % each == 0 and (each <= most or each == 1))
