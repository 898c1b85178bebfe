"""A whole training run: pre-training, adversarial training, a checkpoint after every epoch."""

from __future__ import annotations

import dataclasses
import pkgutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from seqgan.checkpoint import Checkpoint, variable_name
from seqgan.config import Config
from seqgan.dataset import Dataset
from seqgan.networks import Networks
from seqgan.pretraining import Pretraining

PHASES = {"mle": "mle_epochs", "discriminator": "d_epochs", "adversarial": "epochs"}
"""In their order, each with the config field that says how many epochs it has."""

# By name, for the optimised loop stands without the one that it replaced.
LOOPS = {"optimized": "seqgan.loop:OptimizedLoop", "baseline": "baseline.loop:BaselineLoop"}


class Observer(Protocol):
    """Is told how training goes."""

    def epoch_begins(self, phase: str, epoch: int, epochs: int, batches: int) -> None:
        """An epoch (from 0) of `batches` begins, of `epochs` in its phase."""

    def advance(self, batches: int, metrics: Mapping[str, float]) -> None:
        """So many batches more have been done; `metrics` are recent ones."""

    def epoch_ends(self, metrics: Mapping[str, float]) -> None:
        """Means over the epoch's batches."""


@dataclasses.dataclass
class Timing:
    """How long adversarial batches took, for the summary.

    Attributes:
        first_batch: seconds, with tracing and compilation; None before it.
        windows: milliseconds a batch of each window after it, from the moments its metrics had arrived, so
            that it is throughput and not the time to enqueue.
    """

    first_batch: float | None = None
    windows: list[float] = dataclasses.field(default_factory=list)


class Training:
    """One run into a folder.

    Args:
        config: of the run.
        data: to train on.
        loop: a key of LOOPS.
        script: the file that the data came from, if any.
        folder: for checkpoint and history; made if it is missing.
        observer: is told how it goes.
        resume: the checkpoint to go on from.
    """

    def __init__(
        self,
        config: Config,
        data: Dataset,
        loop: str,
        script: str | None,
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
        self._history = resume.history if resume else pd.DataFrame()

        networks = Networks(config, data.sizes)
        adversarial_epochs = resume.epoch + 1 if resume and resume.phase == "adversarial" else 0
        make_loop = pkgutil.resolve_name(LOOPS[loop])
        self._pretraining = Pretraining(config, data, networks)
        self._loop = make_loop(config, data, networks, start_batch=adversarial_epochs * self._epoch_length)
        self._variables = list({variable_name(v): v for v in [*networks.variables, *self._loop.variables]}.values())
        if resume:
            resume.restore(self._variables)

    def run(self) -> None:
        """Trains whatever is left of the phases.

        Raises:
            FloatingPointError: weights are no longer finite; the message names the last good checkpoint.
            NonFiniteUpdatesError: too many updates in a row were skipped.
        """
        for index, (phase, field) in enumerate(PHASES.items()):
            epochs = getattr(self._config, field)
            for epoch in range(epochs):
                if (index, epoch) <= self._done:
                    continue
                self._observer.epoch_begins(phase, epoch, epochs, self._epoch_length)
                columns = self._epoch(phase, epoch)
                self._keep(phase, epoch, columns)
                self._observer.epoch_ends({name: float(np.mean(values)) for name, values in columns.items()})

    def _epoch(self, phase: str, epoch: int) -> dict[str, Any]:
        if phase == "adversarial":
            return self._adversarial_epoch()
        train = self._pretraining.generator_epoch if phase == "mle" else self._pretraining.discriminator_epoch
        started = time.perf_counter()
        history = train(epoch, lambda: self._observer.advance(1, {}))
        # The epoch's metrics have been read, so its work is done.
        return {**history, "ms_per_batch": 1e3 * (time.perf_counter() - started) / self._epoch_length}

    def _adversarial_epoch(self) -> dict[str, Any]:
        temperature, left = self._loop.temperature, self._epoch_length
        if self.timing.first_batch is None:
            self.timing.first_batch = _seconds(lambda: (self._loop.run(1), self._loop.history()))
            left -= 1
            self._observer.advance(1, {"temperature": temperature})
        started = since = time.perf_counter()
        windows = []
        for count in _windows(left, self._config.window):
            self._loop.run(count)
            metrics = self._loop.recent()
            now = time.perf_counter()
            windows.append(1e3 * (now - since) / count)
            since = now
            live = {**metrics, "temperature": temperature, "ms_per_batch": windows[-1]}
            self._observer.advance(count, live)
        history = {name: values[-self._epoch_length :] for name, values in self._loop.history().items()}
        self._loop.recent()  # raises if the epoch's last updates were skipped
        self.timing.windows += windows
        ms = 1e3 * (time.perf_counter() - started) / max(left, 1)
        return {**history, "temperature": temperature, "ms_per_batch": ms}

    def _keep(self, phase: str, epoch: int, columns: dict[str, Any]) -> None:
        rows = pd.DataFrame({"phase": phase, "epoch": epoch, "batch": np.arange(self._epoch_length), **columns})
        self._history = pd.concat([self._history, rows], ignore_index=True)
        state = {variable_name(variable): np.asarray(variable) for variable in self._variables}
        checkpoint = Checkpoint(
            self._config, self._data.vocabulary, self._loop_name, self._script, phase, epoch, self._history, state
        )
        try:
            checkpoint.save(self._folder)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"after epoch {epoch + 1} of {phase}: {error}; the last good checkpoint stays in {self._folder}"
            ) from None


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _windows(batches: int, size: int) -> list[int]:
    return [min(size, batches - start) for start in range(0, batches, size)]
