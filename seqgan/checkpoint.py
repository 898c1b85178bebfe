"""Checkpoints of training runs: one file each, written atomically."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shlex
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.script import ScriptFile
from loop_bench.seqgan.vocabulary import Vocabulary

FILE, HISTORY_FILE = "checkpoint.npz", "history.csv"
_FORMAT = 3  # increase whenever the contents of a checkpoint change
_ABOUT = "about"  # key of everything but arrays; no variable has it, because variables' names have a slash or colon


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything needed to resume a training run, or to generate lines."""

    config: Config
    vocabulary: Vocabulary
    loop: str  # a key of loop_bench.seqgan.training.LOOPS
    script: ScriptFile | None  # file of the training lines; None: the oracle's lines
    phase: str  # one of loop_bench.seqgan.training.PHASES
    epoch: int  # last complete epoch of `phase`, from 0
    history: pd.DataFrame  # one row a batch
    state: dict[str, np.ndarray]  # weights, optimizer state and counters by name

    def save(self, folder: Path) -> None:
        """Writes checkpoint and history into `folder`, replacing each file atomically.

        Raises:
            FloatingPointError: weights or optimizer state are not finite; the files on disk are left unchanged.
            OSError: the folder cannot be written.
        """
        broken = [name for name, value in self.state.items() if not np.all(np.isfinite(value))]
        if broken:
            raise FloatingPointError(f"{broken[0]} (and {len(broken) - 1} more) not finite")
        history = self.history.to_csv(index=False)
        about = {
            "format": _FORMAT,
            "config": self.config.to_dict(),
            "vocabulary": self.vocabulary.to_dict(),
            "loop": self.loop,
            "script": self.script.to_options() if self.script else {},
            "phase": self.phase,
            "epoch": self.epoch,
            "history": history,
        }
        packed = io.BytesIO()
        arrays: dict[str, Any] = {_ABOUT: np.array(json.dumps(about)), **self.state}
        np.savez(packed, **arrays)
        write_whole(folder / FILE, packed.getvalue())
        write_whole(folder / HISTORY_FILE, history.encode())

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Reads the checkpoint in `folder`.

        Raises:
            InputError: there is no checkpoint, or it is damaged.
        """
        path = folder / FILE
        if folder.is_file():
            raise InputError(f"checkpoint {folder}: is a file; name the folder given as `train --out`")
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as packed:
                state = {name: packed[name] for name in packed.files}
            about = json.loads(str(state.pop(_ABOUT)))
            if about.pop("format") != _FORMAT:
                raise InputError(f"checkpoint {path}: written by another version of this program")
            return cls(
                **{
                    **about,
                    "script": ScriptFile.taken_from(about["script"])[0],
                    "config": Config.from_dict(about["config"]),
                    "vocabulary": Vocabulary.from_dict(about["vocabulary"]),
                    "history": pd.read_csv(io.StringIO(about["history"])),
                },
                state=state,
            )
        except FileNotFoundError:
            raise InputError(
                f"checkpoint {path}: no such file; `python -m loop_bench.seqgan train --out` writes one"
            ) from None
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"checkpoint {path}: damaged, or not a checkpoint ({type(error).__name__})") from None

    def restore(self, variables: Iterable[Any]) -> None:
        """Assigns the saved values to `variables`, each of which must be in the checkpoint with the same shape."""
        for variable in variables:
            name = variable_name(variable)
            if name not in self.state or self.state[name].shape != tuple(variable.shape):
                raise InputError(f"checkpoint: has no variable {name} of shape {tuple(variable.shape)}")
            variable.assign(self.state[name])


def resume_command(folder: Path) -> str:
    """Command that resumes from the checkpoint in `folder`."""
    return f"python -m loop_bench.seqgan train --resume --out {shlex.quote(str(folder))}"


def variable_name(variable: Any) -> str:
    """Unique name of a variable: Keras' path, or TensorFlow's name."""
    return str(getattr(variable, "path", None) or variable.name)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file atomically: a reader, or a crash at any moment, finds either the old or the new content."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
