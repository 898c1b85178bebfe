"""The pytest plugin that runs the harness: options, fixtures and progress; record, table, verdict and gate at the end.

`loop_bench.cli.plugin` registers it for `pytest bench/` and `pytest --pyargs loop_bench`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from rich.console import Console

from loop_bench import builtin
from loop_bench.cli import homes, options, pytest_options
from loop_bench.cli.outlook import Outlook, age, stage_of
from loop_bench.cli.progress import Forecast, ProgressDisplay
from loop_bench.cluster.log import LOG
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.run.stages import Stage
from loop_bench.failure import LoopError, exit_code
from loop_bench.jobs.gather import Processes
from loop_bench.machine import gpu
from loop_bench.multiworker.task import task
from loop_bench.settings import ARMS
from loop_bench.statistics import FEWEST_PAIRS

if TYPE_CHECKING:  # modules that import TensorFlow are imported where they are used: `pytest --help` need not wait
    from loop_bench.arms.residences import Residences
    from loop_bench.arms.trials import ProcessesElsewhere
    from loop_bench.cli.closing import Closing
    from loop_bench.experiments.run.measurement import Measurement
    from loop_bench.multiworker.company import Company
    from loop_bench.timing.samples import Round


_BEFORE_TESTS: pytest.StashKey[float] = pytest.StashKey()
"""Seconds from the start of the process to the first test."""

_OUTLOOK: pytest.StashKey[Outlook] = pytest.StashKey()

_PROGRESS: pytest.StashKey[ProgressDisplay] = pytest.StashKey()

_MEASUREMENT: pytest.StashKey[Measurement] = pytest.StashKey()

_CLOSING: pytest.StashKey[Closing] = pytest.StashKey()

Show = Callable[[Console], None]
"""Prints something on a console."""

AtEnd = Callable[[Show], None]
"""Registers a Show for the end of the run."""

_SHOWN: pytest.StashKey[list[Show]] = pytest.StashKey()

_FAILED: pytest.StashKey[Exception] = pytest.StashKey()
"""The error that ended the run."""

_FLAWS: pytest.StashKey[list[str]] = pytest.StashKey()
"""One line for each stage or experiment that has no result; the rest of the run still makes a record."""

_LACKING: pytest.StashKey[list[str]] = pytest.StashKey()
"""Notes on what the arms' environments may lack, in words; in the record, and shown when the run fails."""

_NOTHING_TO_JUDGE: pytest.StashKey[bool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares the options of the run and of the gate."""
    pytest_options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declares the markers and the filters of warnings."""
    # Warnings of the loops under test are for their authors to judge, so this project's rule that a warning is an
    # error must not apply to them. (An error would even change the loops: AutoGraph swallows it and gives up.)
    config.addinivalue_line("filterwarnings", "default")
    # TensorFlow 2.21's AutoGraph warns of this under Python 3.13; the author of a loop cannot avoid it.
    config.addinivalue_line("filterwarnings", "ignore:.*argument '___pyct_anno':DeprecationWarning")
    # Tests that count use the fixture only so that --benchmark-only selects them.
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used")
    config.addinivalue_line("markers", "stage(stage): the stage of the run that the test performs, a value of Stage")
    config.addinivalue_line("markers", "is_experiment(name): a test that runs when the experiment's option is given")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Checks the options before anything slow begins."""
    try:
        pytest_options.check(session.config)
    except UsageError as error:
        _exit(error)


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Lets `-k test_NAME` select the test of the experiment NAME."""
    if mark := item.get_closest_marker("is_experiment"):
        item.extra_keyword_matches.add(f"test_{mark.args[0]}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sorts the tests by stage, and skips those that the options leave out."""
    items.sort(key=_place)
    single_machine_only = pytest.mark.skipif(
        task() is not None, reason="trials in separate processes cannot train together with other machines"
    )
    for item in items:
        if stage_of(item) in (Stage.UTILISATION, Stage.SURVIVAL):
            item.add_marker(single_machine_only)
        if stage_of(item) is Stage.UTILISATION:
            seconds = pytest_options.utilisation(config, config.getoption("preset") or "")
            item.add_marker(pytest.mark.skipif(not seconds, reason="--utilisation 0"))
        if stage_of(item) is Stage.SURVIVAL:
            skipped = pytest_options.asked(config)["survival"] == "none"
            item.add_marker(pytest.mark.skipif(skipped, reason="--survival none"))
        if mark := item.get_closest_marker("is_experiment"):
            experiment = registry.experiment(mark.args[0])
            if pytest_options.asked_of(config, experiment) is None and experiment.switch:
                item.add_marker(pytest.mark.skip(reason=experiment.switch.without))


def _place(item: pytest.Item) -> int:
    """A test's sort key: the stages of the run in order, then the experiments by RunSwitch.place."""
    if stage := stage_of(item):
        return list(Stage).index(stage)
    mark = item.get_closest_marker("is_experiment")
    switch = registry.experiment(mark.args[0]).switch if mark else None
    return len(Stage) + (switch.place if switch else 0)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes the progress display, once the tests that will run are known."""
    session.config.stash[_BEFORE_TESTS] = age()
    config = session.config
    outlook = config.stash[_OUTLOOK] = Outlook(config, session.items, lambda: config.stash.get(_MEASUREMENT, None))
    pieces: list[Callable[[], float]] = [
        *(functools.partial(outlook.seconds, item) for item in session.items),
        outlook.closing,
    ]
    terminal = os.fdopen(os.dup(2), "w")  # bypasses pytest's capture, so that progress shows while tests run
    config.stash[_PROGRESS] = ProgressDisplay(Console(file=terminal), Forecast(pieces))
    handler = _ProgressHandler(config.stash[_PROGRESS])
    LOG.addHandler(handler)  # pytest would show log lines only after a test failed
    config.add_cleanup(lambda: LOG.removeHandler(handler))


class _ProgressHandler(logging.Handler):
    """Prints log records above the progress bar."""

    def __init__(self, progress: ProgressDisplay) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.say(record.getMessage())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Shows progress while a test runs, and leaves the terminal to pytest between tests."""
    progress = item.config.stash[_PROGRESS]
    progress.forecast.begin()
    try:
        return (yield)
    finally:
        item.config.stash[_OUTLOOK].finished(item)
        progress.pause()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """See `_end_with_what_failed`."""
    return (yield from _end_with_what_failed(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """See `_end_with_what_failed`."""
    return (yield from _end_with_what_failed(item))


def _end_with_what_failed(item: pytest.Item) -> Generator[None, Any, Any]:
    """Ends the run with one line when a test raises a UsageError or a LoopError.

    No record is written then. With --full-trace, or a --tb, pytest shows the traceback as well.
    """
    try:
        return (yield)
    except (LoopError, UsageError) as error:
        item.config.stash[_FAILED] = error
        if not _wants_traceback(item.config):
            _exit(error)
        item.session.shouldfail = "the run ended with an error; nothing more is measured"
        raise


def _wants_traceback(config: pytest.Config) -> bool:
    return bool(config.getoption("fulltrace")) or config.getoption("tbstyle") != "auto"


def _exit(error: Exception) -> NoReturn:
    pytest.exit(str(error), returncode=exit_code(error))


@pytest.fixture(scope="session")
def progress(pytestconfig: pytest.Config) -> ProgressDisplay:
    """The display of the stage that is running, and of the time left."""
    return pytestconfig.stash[_PROGRESS]


@pytest.fixture(scope="session")
def processes(residences: Residences | None) -> Iterator[Processes | ProcessesElsewhere]:
    """Runs trials, each in a process of its own; the processes they are forked from import in the background."""
    from loop_bench.arms.trials import ProcessesElsewhere
    from loop_bench.experiments.survival.trial import SurvivalTrial
    from loop_bench.experiments.telemetry.trial import TelemetryTrial

    if residences is None:
        with Processes(SurvivalTrial, TelemetryTrial) as local:
            yield local
    else:
        with ProcessesElsewhere({arm: residences.launch(arm) for arm in ARMS}, SurvivalTrial) as separate:
            yield separate


@pytest.fixture(scope="session")
def residences(pytestconfig: pytest.Config) -> Iterator[Residences | None]:
    """The environments that the arms run in, with their worktrees; None: both arms run in this process."""
    with residing(pytestconfig) as entered:
        yield entered


@contextlib.contextmanager
def residing(config: pytest.Config) -> Iterator[Residences | None]:
    """Enters the environments that a run's options name for its arms; None: both arms run in this process.

    It does not read the run's settings, which may start TensorFlow to choose a preset: the processes of trials, which
    import TensorFlow at the same time as this one, are started later.
    """
    asked = pytest_options.asked(config)
    arm_homes = homes.homes(asked)
    if not arm_homes:
        yield None
        return
    from loop_bench.arms.residences import Residences

    factories = {arm: asked[arm] for arm in ARMS}
    with (
        _interrupted_when_terminated(),
        Residences(arm_homes, factories, asked["link"] or (), pytest_options.results(config)) as entered,
    ):
        config.stash[_LACKING] = entered.notes
        yield entered


@contextlib.contextmanager
def _interrupted_when_terminated() -> Iterator[None]:
    """Makes SIGTERM, which `timeout` and schedulers send, act like Ctrl-C: by default Python would skip all cleanup.

    Some senders repeat it; the second SIGTERM is ignored, so that it cannot interrupt the cleanup.
    """

    def interrupt(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@pytest.fixture(scope="session")
def company(pytestconfig: pytest.Config, progress: ProgressDisplay) -> Iterator[Company | None]:
    """The workers that train together with this process; None: TF_CONFIG names none."""
    own_task = task()
    if own_task is None:
        yield None
        return
    from loop_bench.multiworker.company import Company

    asked = pytest_options.asked(pytestconfig)
    loops = [(asked[arm], options.loop_options(asked)) for arm in ARMS]
    with _interrupted_when_terminated(), Company(own_task, loops, progress.stage) as entered:
        yield entered


@pytest.fixture(scope="session")
def measurement(
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
    progress: ProgressDisplay,
    residences: Residences | None,
    company: Company | None,
) -> Measurement:
    """Collects the results of all stages."""
    progress.stage("starting TensorFlow, loading the loops")
    return begin(pytestconfig, lambda: request.getfixturevalue("processes"), residences, company)


def begin(
    config: pytest.Config,
    processes: Callable[[], Processes | ProcessesElsewhere],
    residences: Residences | None = None,
    company: Company | None = None,
) -> Measurement:
    """Starts TensorFlow, loads the loops, and starts the processes of trials if a stage needs them.

    Those processes see the changes that the loops' modules make to `os.environ` only when they load the loops
    themselves.

    Args:
        config: pytest's configuration of the run.
        processes: starts the processes of trials.
        residences: environments of the arms; None: both arms run in this process.
        company: the workers that train together with this process; None: it trains by itself.
    """
    before, began = config.stash[_BEFORE_TESTS], time.monotonic()
    # By default this process would take all memory of a GPU, and the processes of survival trials need some.
    gpu.share()
    # The processes of trials import TensorFlow while this one does, each on a core of its own.
    stages_with_trials = (Stage.SURVIVAL, Stage.UTILISATION) if residences is None else (Stage.SURVIVAL,)
    trial_processes = processes() if config.stash[_OUTLOOK].expects(*stages_with_trials) else None
    with builtin.importing_tensorflow():
        from loop_bench.experiments.run.measurement import Measurement

    measurement = config.stash[_MEASUREMENT] = Measurement(pytest_options.settings(config), residences, company)
    measurement.pace.start = before + time.monotonic() - began
    if trial_processes:
        trial_processes.wait_until_ready()  # their imports would disturb the timing
    measurement.stages.add(Stage.START, before + time.monotonic() - began)
    return measurement


@pytest.fixture
def counted(benchmark: Any) -> None:
    """Marks a test that counts and does not time: --benchmark-only selects it, and it adds no row."""


@pytest.fixture(scope="session")
def at_end(pytestconfig: pytest.Config) -> AtEnd:
    """Registers what to print when all tests are over."""
    shown: list[Show] = pytestconfig.stash.setdefault(_SHOWN, [])
    return shown.append


@pytest.fixture(scope="session")
def came_to_nothing(pytestconfig: pytest.Config) -> Callable[[str], NoReturn]:
    """Fails a test whose stage or experiment has no result, with the reason; the run continues and makes a record."""
    flaws = pytestconfig.stash.setdefault(_FLAWS, [])

    def fail(reason: str) -> NoReturn:
        flaws.append(reason)
        pytest.fail(reason, pytrace=False)

    return fail


@pytest.fixture(scope="session")
def rounds(measurement: Measurement, progress: ProgressDisplay, pytestconfig: pytest.Config) -> Sequence[Round]:
    """Timed rounds of both loops and the null arm, as many as the settings need; checks that the loops trained."""

    def show_progress(number: int, share: float) -> None:
        progress.forecast.reach(share)
        progress.stage("timing before, null arm and after in turns", f": round {number + 1}")

    progress.stage("building the loops: tracing, compiling, warming up")
    _ = measurement.timed
    outlook = pytestconfig.stash[_OUTLOOK]
    measurement.limit_rounds(outlook.limit_rounds())
    measurement.time_rounds(show_progress, None if outlook.is_limited_by_user else FEWEST_PAIRS)
    measurement.check_work()
    return measurement.rounds


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Adds GPU, driver, CUDA and TensorFlow to pytest-benchmark's machine information.

    Values that change from run to run are left out: pytest-benchmark warns if they differ from the compared run's.
    """
    from loop_bench.machine.environment import environment

    changing = ("commit", "dirty", "gpu_allow_growth")  # the last is set only when the loops are loaded
    machine_info["loop_bench"] = {key: value for key, value in environment().items() if key not in changing}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Writes the record and its report if the run is complete, and sets the exit code by the gate's decision."""
    config, measurement = session.config, session.config.stash.get(_MEASUREMENT, None)
    failed = config.stash.get(_FAILED, None)
    if failed:
        session.exitstatus = exitstatus = exit_code(failed)
    flaws = config.stash.get(_FLAWS, [])
    only_flaws = exitstatus == pytest.ExitCode.TESTS_FAILED and session.testsfailed == len(flaws) and not failed
    if measurement is None or not (exitstatus == pytest.ExitCode.OK or only_flaws):
        # A gate without a record must not pass, nor mean "slower" or "inconclusive" by one of pytest's exit codes.
        # (Wrong use and Ctrl-C stay 2.)
        gated = not config.getoption("collectonly") and pytest_options.is_gated(config)
        if gated and exitstatus not in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR):
            session.exitstatus = 4
            config.stash[_NOTHING_TO_JUDGE] = True
        return
    from loop_bench.cli.closing import Closing

    closing = config.stash[_CLOSING] = Closing.of(measurement.record(), pytest_options.results(config), tuple(flaws))
    session.exitstatus = closing.judge(pytest_options.gate(config) if pytest_options.is_gated(config) else None)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints what the tests registered with `at_end`, then the table, and last the gate's decision."""
    for show in config.stash.get(_SHOWN, []):
        _write(terminalreporter, show)
    closing = config.stash.get(_CLOSING, None)
    if closing is None:
        for note in config.stash.get(_LACKING, []):
            terminalreporter.write_line(note)
        if _MEASUREMENT in config.stash:
            terminalreporter.write_line("no record and no table: the run did not complete, or a test failed")
        if config.stash.get(_NOTHING_TO_JUDGE, False):
            terminalreporter.write_line("gate: invalid: there is no record to judge")
        return
    _write(terminalreporter, closing.show)


def _write(reporter: pytest.TerminalReporter, show: Show) -> None:
    from loop_bench.report import terminal

    console = terminal.console(in_a_pipe=140)
    with console.capture() as output:  # written by pytest's reporter, to keep its place among pytest's lines
        show(console)
    reporter.write(f"\n{output.get()}")
