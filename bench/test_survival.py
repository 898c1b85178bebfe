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
    faults = arms.FAULTS if arms.are_built_in(option("before"), option("after")) else arms.FAULTS_OF_ANY_LOOP
    metafunc.parametrize("fault", faults, ids=str)


@pytest.mark.takes(9.0)
@pytest.mark.parametrize("arm", ARMS)
def test_survival(arm: str, fault: Fault, measurement: Measurement, progress: ProgressDisplay, counted: None) -> None:
    """Records what became of the loop; a loop that dies is a result and no failure of the test."""
    progress.stage(f"{arm} without a fault")
    measurement.clean_run(arm)
    progress.stage(f"{arm} with {fault.describe()}")
    found = measurement.survive(arm, fault)
    assert found.fault == str(fault)
