"""`pytest bench/`: options, fixtures, progress, and the table and the record at the end."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from bench import options
from bench.errors import UsageError
from bench.progress import BATCH_OF_BOTH, STARTING, ProgressDisplay
from bench.record import Record, write_whole

if TYPE_CHECKING:  # what needs TensorFlow is imported when it is needed: `pytest --help` should not wait for it
    from bench.measurement import Measurement

_PROGRESS: pytest.StashKey[ProgressDisplay] = pytest.StashKey()
_MEASUREMENT: pytest.StashKey[Measurement] = pytest.StashKey()
_RECORD: pytest.StashKey[Record] = pytest.StashKey()
_WRITTEN: pytest.StashKey[str] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares the options."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declares the markers."""
    # What the loops under test warn of is for their authors to judge: this project's own rule, that a warning is
    # an error, must not reach them. (An error would even change them: AutoGraph swallows it and gives up.)
    config.addinivalue_line("filterwarnings", "default")
    # TensorFlow 2.21's AutoGraph under Python 3.13; no loop's author could mend it.
    config.addinivalue_line("filterwarnings", "ignore:.*argument '___pyct_anno':DeprecationWarning")
    # Tests that count take the fixture only so that --benchmark-only selects them.
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used")
    config.addinivalue_line("markers", "takes(seconds): rough length of a test, for the progress display")
    config.addinivalue_line("markers", "time_per_batch: a row of pytest-benchmark in seconds a batch")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuses wrong options at once."""
    try:
        options.check(session.config)
    except UsageError as error:
        pytest.exit(str(error), returncode=2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gives tests what depends on the options."""
    from bench.clock import PerBatchTimer

    batches, rounds = int(config.getoption("batches")), int(config.getoption("rounds"))
    for item in items:
        if item.get_closest_marker("time_per_batch"):
            item.add_marker(pytest.mark.benchmark(timer=PerBatchTimer(batches), group="seconds a batch"))
            item.add_marker(pytest.mark.takes(rounds * batches * BATCH_OF_BOTH))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes the progress display, now that it is known what will run."""
    total = STARTING + sum(_seconds(item) for item in session.items)
    terminal = os.fdopen(os.dup(2), "w")  # past pytest's capture: it is looked at while tests run
    session.config.stash[_PROGRESS] = ProgressDisplay(Console(file=terminal), total)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Shows progress while a test runs, and leaves the terminal to pytest between tests."""
    progress = item.config.stash[_PROGRESS]
    done = progress.done
    try:
        return (yield)
    finally:
        progress.advance(max(0.0, _seconds(item) - (progress.done - done)))  # what the test has not reported itself
        progress.pause()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """See `_exit_on_usage_error`."""
    return (yield from _exit_on_usage_error())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """See `_exit_on_usage_error`."""
    return (yield from _exit_on_usage_error())


def _exit_on_usage_error() -> Generator[None, Any, Any]:
    """What the user can put right is one line and exit code 2, also when it shows only while measuring."""
    try:
        return (yield)
    except UsageError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture(scope="session")
def progress(pytestconfig: pytest.Config) -> ProgressDisplay:
    """Is told what is running."""
    return pytestconfig.stash[_PROGRESS]


@pytest.fixture(scope="session")
def measurement(pytestconfig: pytest.Config, progress: ProgressDisplay) -> Measurement:
    """Gathers what all the tests find."""
    from bench.measurement import Measurement

    progress.stage("starting TensorFlow, loading the loops")
    made = Measurement(options.settings(pytestconfig))
    pytestconfig.stash[_MEASUREMENT] = made
    return made


@pytest.fixture
def counted(benchmark: Any) -> None:
    """For tests that count and do not time: --benchmark-only selects them by it, and they make no row."""


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Writes record and table, if the run is whole."""
    measurement = session.config.stash.get(_MEASUREMENT, None)
    if measurement is None or exitstatus != pytest.ExitCode.OK:
        return
    from bench.report import frames, markdown

    record = session.config.stash[_RECORD] = measurement.record()
    try:
        path = record.write(options.results(session.config))
        table = markdown.render(frames.comparison(record), frames.footer(record))
        session.config.stash[_WRITTEN] = f"{path}, {write_whole(path.with_suffix('.md'), table)}"
    except UsageError as error:
        session.exitstatus = 2
        session.config.stash[_WRITTEN] = f"nothing: {error}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Shows the table, last of all."""
    if _MEASUREMENT not in config.stash:
        return
    record = config.stash.get(_RECORD, None)
    if record is None:
        terminalreporter.write_line("no record and no table: the run was not completed, or a test failed")
        return
    from bench.report import frames, terminal

    # A pipe has no width; 80 columns would fold every cell.
    console = Console(width=None if os.isatty(1) else 140)
    with console.capture() as shown:  # and written by pytest, so that it stands in its place among pytest's lines
        terminal.show(console, frames.comparison(record), frames.footer(record))
    terminalreporter.write(f"\n{shown.get()}")
    terminalreporter.write_line(f"written: {config.stash[_WRITTEN]}")


def _seconds(item: pytest.Item) -> float:
    return float(sum(mark.args[0] for mark in item.iter_markers("takes")))
