"""Training lines of both loops, and their order in each epoch."""

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
    """Lines in memory as ids, with their vocabulary.

    Raises:
        InputError: an id is not in the vocabulary; it would silently be trained on as another id.
    """

    tokens: np.ndarray  # [N, T] int32
    character: np.ndarray  # [N] int32
    scene: np.ndarray  # [N] int32
    vocabulary: Vocabulary
    held_out: Dataset | None = None  # lines of the same kind that are not trained on, for evaluation

    def __post_init__(self) -> None:
        _check("token", self.tokens, self.sizes.vocabulary)
        _check("character", self.character, self.sizes.characters)
        _check("scene", self.scene, self.sizes.scenes)

    @property
    def sizes(self) -> Sizes:
        """Sizes that the networks need to know."""
        return Sizes.of(self.vocabulary)

    def only(self, chosen: np.ndarray) -> Dataset:
        """The lines that the mask `chosen` [N] bool selects, in their order."""
        tokens, character, scene = (values[chosen] for values in (self.tokens, self.character, self.scene))
        return Dataset(tokens, character, scene, self.vocabulary)

    def batches_per_epoch(self, batch_size: int) -> int:
        """Number of whole batches in the data; each epoch leaves out another remainder."""
        return len(self.tokens) // batch_size

    def epoch_order(self, batch_size: int, seed: int, epoch: int) -> np.ndarray:
        """Row numbers of the lines of each batch of one epoch: [batches, B] int32.

        Depends only on seed and epoch, so that both loops see the same batches, and a resumed run sees the same
        batches as an uninterrupted one.
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
    """Loads the lines of a script, or draws the oracle's lines if there is no script.

    Raises:
        InputError: the script cannot be used, or there are too few lines for a single batch.
    """
    data = _synthetic(_as_drawn(config)) if script is None else from_script(config, script)
    if data.batches_per_epoch(config.batch_size) == 0:
        source = "lines" if script is None else f"script {script}: speeches"
        raise InputError(f"{source}={len(data.tokens)} must be at least batch_size={config.batch_size}")
    return data


def from_script(config: Config, script: ScriptFile | str | Path) -> Dataset:
    """Loads a script's lines without the held-out ones; the vocabulary includes the held-out lines."""
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
    """Holds out a random share of the lines, at least one, chosen by the seed; all lines keep their order."""
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
"""Config fields that change the oracle's lines."""


def _as_drawn(config: Config) -> Config:
    """Config reduced to the fields of DRAWN_FROM, the same for all loops with the same lines of the oracle."""
    return Config(**{name: getattr(config, name) for name in DRAWN_FROM}, filter_widths=(1,))


@functools.lru_cache(maxsize=4)
def _synthetic(config: Config) -> Dataset:
    """Lines of the oracle; cached, because all loops of a comparison use the same lines."""
    from loop_bench.seqgan.oracle import Oracle  # here, so that reading a script needs no TensorFlow

    oracle = Oracle(config, config.seed)
    vocabulary = Vocabulary.synthetic(config.vocabulary_size, config.characters, config.scenes)
    count = max(1, round(config.held_out * config.lines))
    held_out = Dataset(*oracle.lines(count, stream=1), vocabulary) if config.held_out else None
    return Dataset(*oracle.lines(config.lines), vocabulary, held_out)
