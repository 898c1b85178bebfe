"""The lines that both loops train on, and the order in which they see them."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.script import ScriptFile, read_script
from loop_bench.seqgan.vocabulary import Sizes, Vocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Lines in memory.

    Raises:
        InputError: an id that the vocabulary does not know; it would be trained on as if it were another.
    """

    tokens: np.ndarray  # [N, T] int32
    character: np.ndarray  # [N] int32
    scene: np.ndarray  # [N] int32
    vocabulary: Vocabulary
    held_out: Dataset | None = None  # lines like these that are not among them, to rate a generator by

    def __post_init__(self) -> None:
        _check("token", self.tokens, self.sizes.vocabulary)
        _check("character", self.character, self.sizes.characters)
        _check("scene", self.scene, self.sizes.scenes)

    @property
    def sizes(self) -> Sizes:
        """What the networks must know of the lines."""
        return Sizes.of(self.vocabulary)

    def only(self, chosen: np.ndarray) -> Dataset:
        """The lines of which `chosen` [N] bool says so, in their order."""
        tokens, character, scene = (values[chosen] for values in (self.tokens, self.character, self.scene))
        return Dataset(tokens, character, scene, self.vocabulary)

    def batches_per_epoch(self, batch_size: int) -> int:
        """Whole batches in the data; the rest of an epoch is left out, another rest in each."""
        return len(self.tokens) // batch_size

    def epoch_order(self, batch_size: int, seed: int, epoch: int) -> np.ndarray:
        """Row numbers of the lines of each batch of one epoch: [batches, B] int32.

        A function of seed and epoch alone, so that two loops see the same batches and a resumed run sees
        those that it would have seen.
        """
        batches = self.batches_per_epoch(batch_size)
        order = np.random.default_rng([seed, epoch]).permutation(len(self.tokens))
        return order[: batches * batch_size].reshape(batches, batch_size).astype(np.int32)


def _check(what: str, ids: np.ndarray, count: int) -> None:
    """Raises InputError unless each of `ids` [N, ...] is one of 0 to count - 1."""
    wrong = np.argwhere((ids < 0) | (ids >= count))
    if len(wrong):
        first = tuple(wrong[0])
        raise InputError(f"line {first[0]}: {what}={ids[first]} must be at least 0 and below {count}")


def load(config: Config, script: ScriptFile | str | Path | None = None) -> Dataset:
    """The lines of a script, or, without one, the oracle's.

    Raises:
        InputError: a script that cannot be used, or one too small for a single batch.
    """
    data = _synthetic(_as_drawn(config)) if script is None else from_script(config, script)
    if data.batches_per_epoch(config.batch_size) == 0:
        source = "lines" if script is None else f"script {script}: speeches"
        raise InputError(f"{source}={len(data.tokens)} must be at least batch_size={config.batch_size}")
    return data


def from_script(config: Config, script: ScriptFile | str | Path) -> Dataset:
    """The lines of a script, without those that are held out; the vocabulary is that of all of them."""
    speeches = read_script(script)
    vocabulary = Vocabulary.of(speeches, config.vocabulary_size)
    whole = Dataset(
        tokens=vocabulary.encode(speeches, config.sequence_length),
        character=np.array([vocabulary.characters.index(speech.character) for speech in speeches], np.int32),
        scene=np.array([vocabulary.scenes.index(speech.scene) for speech in speeches], np.int32),
        vocabulary=vocabulary,
    )
    return _split(whole, config) if config.held_out else whole


def _split(whole: Dataset, config: Config) -> Dataset:
    """The lines in their order, without some that the seed has chosen, which are held out: one at the least."""
    count = max(1, round(config.held_out * len(whole.tokens)))
    chosen = np.random.default_rng([config.seed, count]).permutation(len(whole.tokens))[:count]
    out = np.isin(np.arange(len(whole.tokens)), chosen)
    return dataclasses.replace(whole.only(~out), held_out=whole.only(out))


DRAWN_FROM = (
    "sequence_length",
    "vocabulary_size",
    "embedding_size",
    "hidden_size",
    "lines",
    "characters",
    "scenes",
    "held_out",
    "seed",
)
"""Fields of a config that make a difference to the oracle's lines."""


def _as_drawn(config: Config) -> Config:
    """The config of all loops that train on the same lines of the oracle; (1,) fits into lines of any length."""
    return Config(**{name: getattr(config, name) for name in DRAWN_FROM}, filter_widths=(1,))


@functools.lru_cache(maxsize=4)
def _synthetic(config: Config) -> Dataset:
    """Lines of the oracle; kept, because all loops of a comparison ask for the same ones."""
    from loop_bench.seqgan.oracle import Oracle  # here, so that reading a script needs no TensorFlow

    oracle = Oracle(config, config.seed)
    vocabulary = Vocabulary.synthetic(config.vocabulary_size, config.characters, config.scenes)
    count = max(1, round(config.held_out * config.lines))
    held_out = Dataset(*oracle.lines(count, stream=1), vocabulary) if config.held_out else None
    return Dataset(*oracle.lines(config.lines), vocabulary, held_out)
