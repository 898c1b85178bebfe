"""Pytest plugin with budgets of host syncs and retraces for any test; every pytest of the environment loads it.

    @pytest.mark.max_host_syncs(1)
    @pytest.mark.max_retraces(0)
    def test_a_step_reads_its_loss_and_nothing_else(): ...

    def test_what_is_read(host_syncs):
        step()
        assert [read.route for read in host_syncs.reads] == ["float"]

TensorFlow is imported only if a test uses a marker or the fixture.
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
        "the test fails if Python reads tensors to the host more often than this; reads inside hostsync.allow do not "
        "count",
    ),
    "max_retraces": (
        "retraces",
        "the test fails if functions are retraced more often than this; a function's first trace does not count",
    ),
}
"""Markers by name, each with the name of its argument and its help text."""


def pytest_configure(config: pytest.Config) -> None:
    """Declares the markers."""
    for name, (argument, text) in MARKERS.items():
        config.addinivalue_line("markers", f"{name}({argument}): {text} (loop-bench)")


@pytest.fixture
def host_syncs() -> Iterator[Log]:
    """Log of the host reads since the fixture was set up, for the test to inspect: `host_syncs.reads`.

    The log includes fixtures that are set up later; the markers count only the test itself.
    """
    from loop_bench import hostsync

    with hostsync.record() as log:
        yield log


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fails a marked test that exceeds a budget; setup and teardown do not count."""
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
    """The marker's only argument; the test fails if it is not a whole number of at least 0."""
    from loop_bench.hostsync.guards import is_budget

    argument, _ = MARKERS[marker.name]
    values = [*marker.args, *marker.kwargs.values()]
    if len(values) != 1 or not marker.kwargs.keys() <= {argument} or not is_budget(values[0]):
        usage = f"@pytest.mark.{marker.name}({argument}): needs the number of {argument} allowed: {marker.name}(1)"
        pytest.fail(usage, pytrace=False)
    return int(values[0])
