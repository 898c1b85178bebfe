"""Conversion of words, characters and scenes to ids and back."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.script import Speech

PAD, UNKNOWN, END = 0, 1, 2
SPECIALS = ("<pad>", "<unknown>", "<end>")

_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_ATTACHED_LEFT = frozenset(".,;:!?)]}%…’”")
_ATTACHED_RIGHT = frozenset("([{“‘")


def tokenize(text: str) -> list[str]:
    """Splits a text into lower-case words, with inner apostrophes (but `'tis` gives `'`, `tis`), and punctuation."""
    return _TOKEN.findall(text.lower())


def detokenize(tokens: Iterable[str]) -> str:
    """Joins tokens into readable text, with punctuation next to the word that it belongs to."""
    text = ""
    for token in tokens:
        if text and token not in _ATTACHED_LEFT and text[-1] not in _ATTACHED_RIGHT:
            text += " "
        text += token
    return text


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Names of a script's words, characters and scenes; an id is a position in the tuple."""

    words: tuple[str, ...]  # SPECIALS first
    characters: tuple[str, ...]
    scenes: tuple[str, ...]

    @classmethod
    def of(cls, speeches: Sequence[Speech], size: int) -> Vocabulary:
        """Makes a vocabulary of the `size` most frequent words, and all characters and scenes in order of appearance.

        SPECIALS count towards the size; equally frequent words are ordered alphabetically.
        """
        counts = collections.Counter(token for speech in speeches for token in tokenize(speech.text))
        by_frequency = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(
            words=SPECIALS + tuple(by_frequency[: max(0, size - len(SPECIALS))]),
            characters=tuple(dict.fromkeys(speech.character for speech in speeches)),
            scenes=tuple(dict.fromkeys(speech.scene for speech in speeches)),
        )

    @classmethod
    def synthetic(cls, words: int, characters: int, scenes: int) -> Vocabulary:
        """Makes a vocabulary of numbers, for synthetic lines."""
        return cls(*(tuple(map(str, range(count))) for count in (words, characters, scenes)))

    @property
    def ends(self) -> bool:
        """Whether lines may end early: a script's lines may, synthetic lines all have the same length."""
        return self.words[: len(SPECIALS)] == SPECIALS

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        """Makes a vocabulary from the result of `to_dict`."""
        return cls(**{field.name: tuple(values[field.name]) for field in dataclasses.fields(cls)})

    def to_dict(self) -> dict[str, Any]:
        """Plain lists for a checkpoint."""
        return {name: list(values) for name, values in dataclasses.asdict(self).items()}

    def encode(self, speeches: Sequence[Speech], length: int) -> np.ndarray:
        """Token ids [N, T] int32 of speeches: each line cut at `length`, followed by END if there is room, then PAD."""
        ids = {word: index for index, word in enumerate(self.words)}
        tokens = np.full((len(speeches), length), PAD, np.int32)
        for row, speech in zip(tokens, speeches, strict=True):
            line = [ids.get(token, UNKNOWN) for token in tokenize(speech.text)] + [END]
            row[: len(line)] = line[:length]
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of one line of ids, up to END if lines end."""
        line = list(map(int, tokens))
        if self.ends and END in line:
            line = line[: line.index(END)]
        return detokenize(self.words[token] for token in line)

    def character_id(self, name: str) -> int:
        """Id of a character; raises InputError, with the known names, if it is unknown."""
        return _index(self.characters, name, "character")

    def scene_id(self, name: str) -> int:
        """Id of a scene; raises InputError, with the known names, if it is unknown."""
        return _index(self.scenes, name, "scene")

    def only_scene(self) -> str:
        """Name of the only scene; raises InputError, with the names, if there are several."""
        if len(self.scenes) > 1:
            raise InputError(f"--scene is missing; the scenes of this checkpoint are {', '.join(self.scenes)}")
        return self.scenes[0]


class Sizes(NamedTuple):
    """Numbers of words, characters and scenes, as the networks need them."""

    vocabulary: int
    characters: int
    scenes: int
    ends: bool  # whether lines may end before T with END: a script's may, the oracle's do not

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Sizes:
        """The sizes of a vocabulary."""
        return cls(len(vocabulary.words), len(vocabulary.characters), len(vocabulary.scenes), vocabulary.ends)


def _index(names: tuple[str, ...], name: str, kind: str) -> int:
    if name not in names:
        raise InputError(f"{kind} {name!r} is unknown to this checkpoint; it knows {', '.join(names)}")
    return names.index(name)
