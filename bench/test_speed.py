"""Is the rewrite faster, and by how much?"""

from __future__ import annotations

from typing import Any

import pytest

from bench.measurement import Measurement
from bench.progress import BATCH_OF_BOTH, ProgressDisplay
from bench.record import ARMS


@pytest.mark.time_per_batch
@pytest.mark.parametrize("arm", ARMS)
def test_time_per_batch(arm: str, measurement: Measurement, progress: ProgressDisplay, benchmark: Any) -> None:
    """A row each for both loops; the untimed set-up of each round times the other one."""
    settings = measurement.settings
    other = ARMS[1 - ARMS.index(arm)]
    progress.stage("building both loops: tracing, compiling, warming up")
    timed = measurement.timed
    weight, before = BATCH_OF_BOTH * settings.batches, len(timed.rounds)

    def time_the_other() -> None:
        number = len(timed.rounds) - before + 1
        if number > settings.rounds:
            return  # pytest-benchmark goes round again to profile, which is no measurement
        progress.advance(weight if number > 1 else 0.0)
        progress.stage(f"timing {other}, then {arm}", f": round {number} of {settings.rounds}")
        timed.open(other)

    benchmark.extra_info.update(settings.model_dump(), arm=arm)
    benchmark.pedantic(lambda: timed.close(arm), setup=time_the_other, rounds=settings.rounds)
    if problems := measurement.problems():
        pytest.fail(f"a loop did not do the work that it was timed for: {'; '.join(problems)}", pytrace=False)
