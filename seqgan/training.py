"""A whole training run: pre-training, adversarial training, a checkpoint after every epoch."""

from __future__ import annotations

import dataclasses
import functools
import math
import pkgutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from loop_bench.seqgan import evaluation
from loop_bench.seqgan.checkpoint import Checkpoint, resume_command, variable_name
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.dataset import Dataset
from loop_bench.seqgan.errors import NonFiniteUpdatesError
from loop_bench.seqgan.networks import Networks
from loop_bench.seqgan.pretraining import Pretraining
from loop_bench.seqgan.script import ScriptFile

PHASES = {"mle": "mle_epochs", "discriminator": "d_epochs", "adversarial": "epochs"}
"""Phases of training in order, each with the config field for its number of epochs."""

# By name, so that the optimised loop does not depend on the baseline.
LOOPS = {"optimized": "loop_bench.seqgan.loop:OptimizedLoop", "baseline": "loop_bench.baseline.loop:BaselineLoop"}


class Observer(Protocol):
    """Receives the progress of a training run."""

    def epoch_begins(self, phase: str, epoch: int, epochs: int, batches: int) -> None:
        """Called at the start of an epoch (from 0) of `batches` batches, one of `epochs` in its phase."""

    def advance(self, batches: int, metrics: Mapping[str, float]) -> None:
        """Called after `batches` more batches; `metrics` are the latest available."""

    def epoch_ends(self, metrics: Mapping[str, float]) -> None:
        """Called at the end of an epoch; `metrics` are means over its batches."""


@dataclasses.dataclass
class Timing:
    """Durations of adversarial batches.

    Attributes:
        first_batch: seconds of the first batch, with tracing and compilation; None: not trained yet.
        windows: milliseconds per batch of each later window.
    """

    first_batch: float | None = None
    windows: list[float] = dataclasses.field(default_factory=list)


def window_times(turns: list[float], tail: float) -> list[float]:
    """Time of each window of an epoch, on asynchronous and on synchronous devices.

    A turn queues a window on the device and waits for the window before. On an asynchronous device the first turn
    takes no time, each other turn takes that of the window before, and the tail that of the last window. On a
    synchronous device each turn takes the time of its own window, and the tail takes none. In both cases, the first
    turn and the tail together take the time of one window.

    Args:
        turns: seconds of each turn, at least one.
        tail: seconds from the last turn until the last window was finished.

    Returns:
        Seconds of each window, as many as turns.
    """
    return [*turns[1:], turns[0] + tail]


class Training:
    """A training run that writes its checkpoints into a folder.

    Args:
        config: config of the run.
        data: lines to train on.
        loop: a key of LOOPS.
        script: file that the data came from; None: the oracle.
        folder: folder for checkpoint and history; created if missing.
        observer: receives the progress.
        resume: checkpoint to resume from; None: start from the beginning.
    """

    def __init__(
        self,
        config: Config,
        data: Dataset,
        loop: str,
        script: ScriptFile | None,
        folder: Path,
        observer: Observer,
        resume: Checkpoint | None = None,
    ) -> None:
        self.timing = Timing()
        self._config = config
        self._data = data
        self._loop_name = loop
        self._script = script
        self._folder = folder
        self._observer = observer
        self._epoch_length = data.batches_per_epoch(config.batch_size)
        self._done = (list(PHASES).index(resume.phase), resume.epoch) if resume else (0, -1)
        self._good = (resume.phase, resume.epoch) if resume else None  # phase and epoch of the checkpoint
        self._history = resume.history if resume else pd.DataFrame()
        self._compiled: set[str] = set()  # phases that this process has traced and compiled

        self.epochs = 0  # trained by this object
        networks = self._networks = Networks(config, data.sizes)
        adversarial_epochs = resume.epoch + 1 if resume and resume.phase == "adversarial" else 0
        make_loop = pkgutil.resolve_name(LOOPS[loop])
        self._pretraining = Pretraining(config, data, networks)
        self._loop = make_loop(config, data, networks, start_batch=adversarial_epochs * self._epoch_length)
        variables = [*networks.variables, *self._pretraining.variables, *self._loop.variables]
        self._variables = list({variable_name(variable): variable for variable in variables}.values())
        if resume:
            resume.restore(self._variables)

    @property
    def skipped_updates(self) -> dict[str, int]:
        """Number of updates that the adversarial loop skipped, by network, if it counts them; reads the device."""
        return dict(self._loop.describe().get("skipped_updates", {}))

    @property
    def skipped_batches(self) -> dict[str, list[int]]:
        """Adversarial batches of this object with a skipped update, by network, if counted; reads the device."""
        return dict(self._loop.describe().get("skipped_batches", {}))

    @functools.cached_property
    def oracle_nll(self) -> tuple[float, float] | None:
        """NLL under the oracle of the generator's lines and of the oracle's own; None for a script."""
        return None if self._script else evaluation.oracle_nll(self._config, self._data, self._networks.generator)

    def run(self) -> None:
        """Trains all remaining epochs of all phases.

        The messages of the errors name the last good checkpoint, which is kept, and the command to resume from it.

        Raises:
            FloatingPointError: weights or optimizer state are no longer finite.
            NonFiniteUpdatesError: too many updates in a row were skipped.
        """
        for index, (phase, field) in enumerate(PHASES.items()):
            epochs = getattr(self._config, field)
            for epoch in range(epochs):
                if (index, epoch) <= self._done:
                    continue
                self._observer.epoch_begins(phase, epoch, epochs, self._epoch_length)
                try:
                    columns = self._epoch(phase, epoch)
                    self._keep(phase, epoch, columns)
                except (FloatingPointError, NonFiniteUpdatesError) as error:
                    raise type(error)(f"epoch {epoch + 1} of {phase}: {error}; {self._way_back()}") from None
                self.epochs += 1
                self._observer.epoch_ends({name: float(np.mean(values)) for name, values in columns.items()})

    def _epoch(self, phase: str, epoch: int) -> dict[str, Any]:
        if phase == "adversarial":
            return self._adversarial_epoch()
        train = self._pretraining.generator_epoch if phase == "mle" else self._pretraining.discriminator_epoch
        started = time.perf_counter()
        history: dict[str, Any] = dict(train(epoch, lambda: self._observer.advance(1, {})))
        if phase in self._compiled:  # otherwise most of the time was compilation
            # The epoch's metrics have been read, so its work is done.
            history["ms_per_batch"] = 1e3 * (time.perf_counter() - started) / self._epoch_length
        self._compiled.add(phase)
        return history

    def _adversarial_epoch(self) -> dict[str, Any]:
        loop, temperature, left = self._loop, self._loop.temperature, self._epoch_length
        if self.timing.first_batch is None:
            started = time.perf_counter()
            loop.run(1)
            loop.history()
            self.timing.first_batch = time.perf_counter() - started
            left -= 1
            self._observer.advance(1, {"temperature": temperature})
        turns: list[float] = []
        live = {"temperature": temperature}
        started = since = time.perf_counter()
        # Windows of equal size, because the time of a turn is that of another window than the one it queues.
        sizes = _equal_parts(left, self._config.window)
        for size in sizes:
            loop.run(size)
            metrics = loop.recent()
            now = time.perf_counter()
            turns.append(now - since)
            since = now
            if len(turns) > 1:
                live["ms_per_batch"] = 1e3 * turns[-1] / size
            self._observer.advance(size, {**metrics, **live})
        history = {name: values[-self._epoch_length :] for name, values in loop.history().items()}
        loop.recent()  # raises if the epoch's last updates were skipped
        ended = time.perf_counter()
        if not left:  # an epoch of one batch, which was the first
            return {**history, "temperature": temperature}
        times = window_times(turns, ended - since)
        self.timing.windows += [1e3 * seconds / size for seconds, size in zip(times, sizes, strict=True)]
        return {**history, "temperature": temperature, "ms_per_batch": 1e3 * (ended - started) / left}

    def _keep(self, phase: str, epoch: int, columns: dict[str, Any]) -> None:
        rows = pd.DataFrame({"phase": phase, "epoch": epoch, "batch": np.arange(self._epoch_length), **columns})
        self._history = pd.concat([self._history, rows], ignore_index=True)
        state = {variable_name(variable): np.asarray(variable) for variable in self._variables}
        checkpoint = Checkpoint(
            self._config, self._data.vocabulary, self._loop_name, self._script, phase, epoch, self._history, state
        )
        checkpoint.save(self._folder)
        self._good = phase, epoch

    def _way_back(self) -> str:
        """Message with the place of the last good checkpoint, and the command to resume from it."""
        if self._good is None:
            return "no checkpoint had been written yet"
        phase, epoch = self._good
        return (
            f"the last good checkpoint, after epoch {epoch + 1} of {phase}, is in {self._folder}; "
            f"resume from it with: {resume_command(self._folder)}"
        )


def _equal_parts(batches: int, most: int) -> list[int]:
    """Divides `batches` into as few and as equal parts of at most `most` as possible."""
    parts = math.ceil(batches / most)
    return [batches // parts + (part < batches % parts) for part in range(parts)]
