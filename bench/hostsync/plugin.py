"""The pytest plugin that every pytest of its environment loads: budgets of host syncs and retraces for anyone's tests.

    @pytest.mark.max_host_syncs(1)
    @pytest.mark.max_retraces(0)
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
    from loop_bench.hostsync import Log

MARKERS = {
    "max_host_syncs": (
        "reads",
        "the test fails when Python reads tensors to the host more often than that; reads inside hostsync.allow do not "
        "count",
    ),
    "max_retraces": (
        "retraces",
        "the test fails when functions are traced again more often than that; a function's first trace does not count",
    ),
}
"""Each with its argument, and what it does."""


def pytest_configure(config: pytest.Config) -> None:
    """Declares the markers."""
    for name, (argument, text) in MARKERS.items():
        config.addinivalue_line("markers", f"{name}({argument}): {text} (loop-bench)")


@pytest.fixture
def host_syncs() -> Iterator[Log]:
    """The log of the host reads from here on, as they happen: `host_syncs.reads`.

    Fixtures that are set up after it are in it; the marker counts the test itself alone.
    """
    from loop_bench import hostsync

    with hostsync.record() as log:
        yield log


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Holds a marked test to its budgets; setup and teardown do not count."""
    budgets = {name: _budget(marker) for name in MARKERS if (marker := item.get_closest_marker(name))}
    if not budgets:
        return (yield)
    from loop_bench import hostsync
    from loop_bench.hostsync.guards import over, over_traces

    with hostsync.record() as log:
        result = yield
    checks = {"max_host_syncs": over, "max_retraces": over_traces}
    problems = [problem for name, budget in budgets.items() if (problem := checks[name](log, budget))]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
    return result


def _budget(marker: pytest.Mark) -> int:
    """The marker's one argument; the test fails where it is anything but a number of times."""
    from loop_bench.hostsync.guards import is_budget

    argument, _ = MARKERS[marker.name]
    values = [*marker.args, *marker.kwargs.values()]
    if len(values) != 1 or not marker.kwargs.keys() <= {argument} or not is_budget(values[0]):
        usage = f"@pytest.mark.{marker.name}({argument}): wants how many {argument} are fine, such as {marker.name}(1)"
        pytest.fail(usage, pytrace=False)
    return int(values[0])
