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
"""In their order, each with the config field that says how many epochs it has."""

# By name, for the optimised loop stands without the one that it replaced.
LOOPS = {"optimized": "loop_bench.seqgan.loop:OptimizedLoop", "baseline": "loop_bench.baseline.loop:BaselineLoop"}


class Observer(Protocol):
    """Receives the progress of a training run."""

    def epoch_begins(self, phase: str, epoch: int, epochs: int, batches: int) -> None:
        """An epoch (from 0) of `batches` begins, of `epochs` in its phase."""

    def advance(self, batches: int, metrics: Mapping[str, float]) -> None:
        """`batches` more are done; `metrics` are recent ones."""

    def epoch_ends(self, metrics: Mapping[str, float]) -> None:
        """An epoch has ended; `metrics` are means over its batches."""


@dataclasses.dataclass
class Timing:
    """How long adversarial batches took.

    Attributes:
        first_batch: seconds, with tracing and compilation; None before it.
        windows: milliseconds a batch of each window after it.
    """

    first_batch: float | None = None
    windows: list[float] = dataclasses.field(default_factory=list)


def window_times(turns: list[float], tail: float) -> list[float]:
    """The time of each window of an epoch, whether the device works while the host goes on or not.

    A turn hands a window to the device and waits for the window before. On an asynchronous device the first
    turn takes no time, each other turn that of the window before, and the tail that of the last window. On a
    synchronous one each turn takes the time of its own window, and the tail none. First turn and tail are the
    time of one window either way.

    Args:
        turns: seconds of each turn, at least one.
        tail: seconds until the last window had arrived too.

    Returns:
        Seconds of each window, as many as turns.
    """
    return [*turns[1:], turns[0] + tail]


class Training:
    """One run into a folder.

    Args:
        config: of the run.
        data: to train on.
        loop: a key of LOOPS.
        script: the file that the data came from, if any.
        folder: for checkpoint and history; made if it is missing.
        observer: receives the progress.
        resume: the checkpoint to go on from.
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
        """Updates that the adversarial loop skipped, by network, if it counts them; reads the device."""
        return dict(self._loop.describe().get("skipped_updates", {}))

    @property
    def skipped_batches(self) -> dict[str, list[int]]:
        """Adversarial batches of this object with a skipped update, by network, if the loop knows; reads the device."""
        return dict(self._loop.describe().get("skipped_batches", {}))

    @functools.cached_property
    def oracle_nll(self) -> tuple[float, float] | None:
        """How the oracle rates as many lines of the generator, at temperature 1, and of its own; None for a script."""
        return None if self._script else evaluation.oracle_nll(self._config, self._data, self._networks.generator)

    def run(self) -> None:
        """Trains whatever is left of the phases.

        Raises:
            FloatingPointError: weights or optimizer state are no longer finite.
            NonFiniteUpdatesError: too many updates in a row were skipped.

        Either names the last good checkpoint, which stays, and how to go on from it.
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
        if phase in self._compiled:  # else most of the time was compilation
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
        # Of one size, for a turn is the time of another window than the one that it hands over.
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
        """Where the last good checkpoint is, and how to go on from it."""
        if self._good is None:
            return "no checkpoint had been written yet"
        phase, epoch = self._good
        return (
            f"the last good checkpoint, after epoch {epoch + 1} of {phase}, stays in {self._folder}; "
            f"go on from it with: {resume_command(self._folder)}"
        )


def _equal_parts(batches: int, most: int) -> list[int]:
    """Sizes of at most `most`, as few and as equal as can be."""
    parts = math.ceil(batches / most)
    return [batches // parts + (part < batches % parts) for part in range(parts)]
