"""Is the rewrite faster, and by how much?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from loop_bench.cli.replay import ReplayedTimes
from loop_bench.experiments.run.stages import Stage
from loop_bench.settings import TIMED
from loop_bench.timing.samples import Round

if TYPE_CHECKING:  # it starts TensorFlow, which should wait until there is a progress display
    from loop_bench.experiments.run.measurement import Measurement

TIMES = ReplayedTimes()


@pytest.mark.stage(Stage.ROUNDS)
@pytest.mark.benchmark(timer=TIMES, group="seconds a batch")
@pytest.mark.parametrize("name", TIMED)
def test_time_per_batch(name: str, rounds: Sequence[Round], measurement: Measurement, benchmark: Any) -> None:
    """Reports a row for each timed loop, from the rounds that all three share."""
    benchmark.extra_info.update(measurement.settings.model_dump(), arm=name)
    TIMES.load([done.seconds[name] / done.batches for done in rounds])

    def replay() -> None:
        if not TIMES.left:  # pytest-benchmark runs one round more to profile
            measurement.timed.block(name)

    benchmark.pedantic(replay, rounds=len(rounds))
