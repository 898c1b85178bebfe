"""Words, characters and scenes as ids, and back."""

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
    """Lower-case words, an apostrophe inside kept (`'tis` gives `'`, `tis`), and single marks of punctuation."""
    return _TOKEN.findall(text.lower())


def detokenize(tokens: Iterable[str]) -> str:
    """Readable text: punctuation closed up to the word that it belongs to."""
    text = ""
    for token in tokens:
        if text and token not in _ATTACHED_LEFT and text[-1] not in _ATTACHED_RIGHT:
            text += " "
        text += token
    return text


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The names behind the ids of a script; an id is a position in its tuple."""

    words: tuple[str, ...]  # SPECIALS first
    characters: tuple[str, ...]
    scenes: tuple[str, ...]

    @classmethod
    def of(cls, speeches: Sequence[Speech], size: int) -> Vocabulary:
        """The `size` most frequent words, and every character and scene in order of appearance.

        SPECIALS count towards the size; among equally frequent words the alphabet decides.
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
        """Numbers as names, for lines whose tokens stand for nothing."""
        return cls(*(tuple(map(str, range(count))) for count in (words, characters, scenes)))

    @property
    def ends(self) -> bool:
        """Whether lines may end early: a script's do, synthetic ones are all of one length."""
        return self.words[: len(SPECIALS)] == SPECIALS

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        """The vocabulary that `to_dict` gave."""
        return cls(**{field.name: tuple(values[field.name]) for field in dataclasses.fields(cls)})

    def to_dict(self) -> dict[str, Any]:
        """Plain lists for a checkpoint."""
        return {name: list(values) for name, values in dataclasses.asdict(self).items()}

    def encode(self, speeches: Sequence[Speech], length: int) -> np.ndarray:
        """Token ids [N, T] int32: each line cut at `length`, closed by END where there is room, then PAD."""
        ids = {word: index for index, word in enumerate(self.words)}
        tokens = np.full((len(speeches), length), PAD, np.int32)
        for row, speech in zip(tokens, speeches, strict=True):
            line = [ids.get(token, UNKNOWN) for token in tokenize(speech.text)] + [END]
            row[: len(line)] = line[:length]
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of one line of ids, up to END where lines end."""
        line = list(map(int, tokens))
        if self.ends and END in line:
            line = line[: line.index(END)]
        return detokenize(self.words[token] for token in line)

    def character_id(self, name: str) -> int:
        """The id of a character; InputError names the known ones."""
        return _index(self.characters, name, "character")

    def scene_id(self, name: str) -> int:
        """The id of a scene; InputError names the known ones."""
        return _index(self.scenes, name, "scene")

    def only_scene(self) -> str:
        """The name of the scene, where there is one; InputError names them where there are more."""
        if len(self.scenes) > 1:
            raise InputError(f"--scene is missing; this checkpoint knows {', '.join(self.scenes)}")
        return self.scenes[0]


class Sizes(NamedTuple):
    """Numbers of words, characters and scenes: what the networks must know of the data."""

    vocabulary: int
    characters: int
    scenes: int
    ends: bool  # whether a line may end before T with END, as a script's do and the oracle's do not

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Sizes:
        """The sizes of a vocabulary."""
        return cls(len(vocabulary.words), len(vocabulary.characters), len(vocabulary.scenes), vocabulary.ends)


def _index(names: tuple[str, ...], name: str, kind: str) -> int:
    if name not in names:
        raise InputError(f"{kind} {name!r} is unknown to this checkpoint; it knows {', '.join(names)}")
    return names.index(name)
