"""What do gradients that explode do to each loop?"""

from __future__ import annotations

import pytest

from bench import arms
from bench.faults import Fault
from bench.measurement import Measurement
from bench.progress import ProgressDisplay
from bench.record import ARMS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The faults that mean something to the loops under test."""
    option = metafunc.config.getoption
    metafunc.parametrize("fault", arms.faults(option("before"), option("after")), ids=str)


@pytest.mark.takes(9.0)
@pytest.mark.parametrize("arm", ARMS)
def test_survival(arm: str, fault: Fault, measurement: Measurement, progress: ProgressDisplay, counted: None) -> None:
    """Records what became of the loop; a loop that dies is a result and no failure of the test."""
    progress.stage(f"{arm} without a fault")
    measurement.clean_run(arm)
    progress.stage(f"{arm} with {fault.describe()}")
    found = measurement.survive(arm, fault)
    if measurement.settings.before == arms.BEFORE and measurement.settings.after == arms.AFTER:
        assert found.outcome != "not tested", found.reason  # other loops need have no tape
