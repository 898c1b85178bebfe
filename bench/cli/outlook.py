"""Expected duration of each test of a run, from the pace that this machine has shown so far."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import psutil
import pytest

from loop_bench.cli import homes, options, pytest_options
from loop_bench.experiments import registry
from loop_bench.experiments.equivalence import record as equivalence
from loop_bench.experiments.run import stages
from loop_bench.experiments.run.stages import Pace, Stage
from loop_bench.experiments.syncs import record as syncs
from loop_bench.jobs import pool
from loop_bench.settings import ARMS, NULL

if TYPE_CHECKING:
    from loop_bench.experiments.run.measurement import Measurement


_CLOSING = 2.0
"""Seconds to write the record and its report, measured like the constants in `stages`."""


class Outlook:
    """Forecast of the seconds that the tests of a run take.

    Args:
        config: pytest's configuration of the run, its options checked.
        items: the tests, in their order.
        measurement: returns the measurement in progress; None before it begins.

    Attributes:
        is_limited_by_user: whether the user gave `--rounds` or `--max-time`.
    """

    def __init__(
        self,
        config: pytest.Config,
        items: Sequence[pytest.Item],
        measurement: Callable[[], Measurement | None],
    ) -> None:
        self._config = config
        self._left = list(items)
        self._measurement = measurement
        self._asked = pytest_options.asked(config)
        # The options are read once, because forecasts are made between timed rounds.
        self._experiments = {
            experiment.name: experiment.seconds(asked)
            for experiment in registry.experiments()
            if (asked := pytest_options.asked_of(config, experiment)) is not None
        }
        self._groups, self._importing = options.groups(self._asked), homes.import_anew(self._asked)
        self._null_batches = syncs.BATCHES if homes.homes(self._asked) else 0  # batches of the null arm before rounds
        self._limit: float | None = self._asked["max_time"]
        self.is_limited_by_user = self._limit is not None or self._asked["rounds"] is not None
        if self._limit is None and pytest_options.is_gated(config):
            self._limit = stages.MOST_ROUNDS

    @functools.cached_property
    def _workers(self) -> int:
        """Survival trials at a time; cached, because it queries NVML."""
        return pool.workers()

    def finished(self, item: pytest.Item) -> None:
        """Removes a finished test from the forecast."""
        self._left.remove(item)

    @property
    def pace(self) -> Pace:
        """The pace measured so far; the default one before the measurement begins."""
        measurement = self._measurement()
        return measurement.pace if measurement else Pace()

    def seconds(self, item: pytest.Item) -> float:
        """Expected seconds of a test; 0 for a skipped one."""
        if mark := item.get_closest_marker("is_experiment"):
            return self.pace.scaled(self._experiments.get(mark.args[0], 0.0))
        stage = stage_of(item)
        arms = [arm for arm in ARMS if f"[{arm}]" in item.name]
        if stage is Stage.SYNCS:
            return self._unbuilt(*arms) + self.pace.training(syncs.BATCHES, *arms)
        if stage is Stage.ROUNDS:
            return self._rounds() if arms == [ARMS[0]] else 0.0  # the test of the first arm times all arms
        if stage is Stage.EQUIVALENCE:
            comparable = pytest_options.pair(self._config).equivalent is not None
            return self.pace.comparing(equivalence.BATCHES) if comparable else 0.0
        if stage is Stage.SURVIVAL:
            return self._survival()
        if stage is Stage.UTILISATION:
            seconds = pytest_options.utilisation(self._config, self._asked["preset"] or "")
            return sum(self.pace.watching(seconds, arm) for arm in ARMS) if seconds else 0.0
        return 0.0

    def closing(self) -> float:
        """Expected seconds to write the record, its table and its plots."""
        return self.pace.scaled(_CLOSING)

    def limit_rounds(self) -> float:
        """Fixes the time limit for all rounds and returns it, in seconds; later calls return the same limit."""
        self._limit = self._for_rounds()
        return self._limit

    def expects(self, *wanted: Stage) -> bool:
        """Whether a test of any of these stages is still to run."""
        return any(stage_of(item) in wanted and self.seconds(item) > 0 for item in self._left)

    def _for_rounds(self) -> float:
        if self._limit is not None:
            return self._limit
        other_tests = [item for item in self._left if stage_of(item) is not Stage.ROUNDS]
        expected = sum(map(self.seconds, other_tests)) + self.pace.restarting(self._groups, self._importing)
        expected += self.closing()
        return stages.for_rounds(age(), expected)

    def _unbuilt(self, *names: str) -> float:
        return self.pace.building(*(name for name in names if name not in self.pace.first_batch))

    def _rounds(self) -> float:
        rounds, pace = self._asked["rounds"], self.pace
        building = self._unbuilt(*ARMS, NULL) + pace.restarting(self._groups, self._importing)
        building += pace.training(self._null_batches, NULL)
        if rounds is not None:
            batches: int = (rounds + self._groups) * self._asked["batches"]
            return building + pace.training(batches, *ARMS, NULL)
        return building + self._for_rounds()

    def _survival(self) -> float:
        extent = self._asked["survival"]
        if extent == "none":
            return 0.0
        if extent == "full":
            return self.pace.scaled(3600.0)
        faults = pytest_options.pair(self._config).faults
        return self.pace.surviving(1 + len(faults.short), self._workers, small=faults.short_preset is not None)


def stage_of(item: pytest.Item) -> Stage | None:
    """The stage that a test belongs to; None for the test of an experiment."""
    mark = item.get_closest_marker("stage")
    return Stage(mark.args[0]) if mark else None


def age() -> float:
    """Seconds since this process started."""
    return time.time() - float(psutil.Process().create_time())
