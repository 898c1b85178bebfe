"""A pytest plugin that is installed with the package `bench`: a budget of host syncs for anyone's own tests.

    @pytest.mark.max_host_syncs(1)
    def test_a_step_reads_its_loss_and_nothing_else(): ...

    def test_what_is_read(host_syncs):
        step()
        assert [read.route for read in host_syncs.reads] == ["float"]

TensorFlow is imported only where one of them is used.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.hostsync import Log

MARKER = "max_host_syncs"


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(reads): the test fails when Python reads tensors to the host more often than that (loop-bench); "
        "reads inside hostsync.allow do not count",
    )


@pytest.fixture
def host_syncs() -> Iterator[Log]:
    """The log of the host reads from here on, as they happen: `host_syncs.reads`.

    Fixtures that are set up after it are in it; the marker counts the test itself alone.
    """
    from bench import hostsync

    with hostsync.record() as log:
        yield log


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Holds a marked test to its budget; setup and teardown do not count."""
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        return (yield)
    from bench import hostsync
    from bench.hostsync.guards import is_budget, over

    reads = _given(marker)
    if not is_budget(reads):
        pytest.fail(f"@pytest.mark.{MARKER}(reads): wants how many reads are fine, such as {MARKER}(1)", pytrace=False)
    with hostsync.record() as log:
        result = yield
    if problem := over(log, reads):
        pytest.fail(problem, pytrace=False)
    return result


def _given(marker: pytest.Mark) -> Any:
    """The marker's one argument; None where there is another number of them, or one of another name."""
    values = [*marker.args, *marker.kwargs.values()]
    return values[0] if len(values) == 1 and marker.kwargs.keys() <= {"reads"} else None
