"""The harness inside pytest: options, fixtures, progress, and table, record, verdict and gate at the end.

It is a plugin that `loop_bench.cli.plugin` wakes, for `pytest bench/` and `pytest --pyargs loop_bench`.
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

if TYPE_CHECKING:  # what needs TensorFlow is imported when it is needed: `pytest --help` should not wait for it
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
"""Prints something."""

AtEnd = Callable[[Show], None]

_SHOWN: pytest.StashKey[list[Show]] = pytest.StashKey()

_FAILED: pytest.StashKey[Exception] = pytest.StashKey()
"""What has ended the run."""

_FLAWS: pytest.StashKey[list[str]] = pytest.StashKey()
"""Of stages and experiments that came to nothing, in one line each; the rest of the run has a record nevertheless."""

_LACKING: pytest.StashKey[list[str]] = pytest.StashKey()
"""What arms may lack where they live, in words: a record has it, and what fails may be for the want of it."""

_NOTHING_TO_JUDGE: pytest.StashKey[bool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares the options."""
    pytest_options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declares the markers."""
    # What the loops under test warn of is for their authors to judge: this project's own rule, that a warning is
    # an error, must not reach them. (An error would even change them: AutoGraph swallows it and gives up.)
    config.addinivalue_line("filterwarnings", "default")
    # TensorFlow 2.21's AutoGraph under Python 3.13; no loop's author could mend it.
    config.addinivalue_line("filterwarnings", "ignore:.*argument '___pyct_anno':DeprecationWarning")
    # Tests that count take the fixture only so that --benchmark-only selects them.
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used")
    config.addinivalue_line("markers", "stage(stage): the part of a run that a test is, one of bench's Stage")
    config.addinivalue_line("markers", "is_experiment(name): a test that runs when the experiment's option is given")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuses wrong options at once."""
    try:
        pytest_options.check(session.config)
    except UsageError as error:
        _exit(error)


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Has `-k` know the test of an experiment as `test_NAME` too."""
    if mark := item.get_closest_marker("is_experiment"):
        item.extra_keyword_matches.add(f"test_{mark.args[0]}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the stages in their order, and skips what was not asked for."""
    items.sort(key=_place)
    alone = pytest.mark.skipif(
        task() is not None, reason="processes of their own would not train together with other machines"
    )
    for item in items:
        if stage_of(item) in (Stage.UTILISATION, Stage.SURVIVAL):
            item.add_marker(alone)
        if stage_of(item) is Stage.UTILISATION:
            watched = pytest_options.utilisation(config, config.getoption("preset") or "")
            item.add_marker(pytest.mark.skipif(not watched, reason="--utilisation 0"))
        if stage_of(item) is Stage.SURVIVAL:
            left_out = pytest_options.asked(config)["survival"] == "none"
            item.add_marker(pytest.mark.skipif(left_out, reason="--survival none"))
        if mark := item.get_closest_marker("is_experiment"):
            experiment = registry.experiment(mark.args[0])
            if pytest_options.asked_of(config, experiment) is None and experiment.switch:
                item.add_marker(pytest.mark.skip(reason=experiment.switch.without))


def _place(item: pytest.Item) -> int:
    """Where a test must come among the others: experiments after the stages of the run; see RunSwitch."""
    if stage := stage_of(item):
        return list(Stage).index(stage)
    mark = item.get_closest_marker("is_experiment")
    switch = registry.experiment(mark.args[0]).switch if mark else None
    return len(Stage) + (switch.place if switch else 0)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes the progress display, now that it is known what will run."""
    session.config.stash[_BEFORE_TESTS] = age()
    config = session.config
    outlook = config.stash[_OUTLOOK] = Outlook(config, session.items, lambda: config.stash.get(_MEASUREMENT, None))
    pieces: list[Callable[[], float]] = [
        *(functools.partial(outlook.seconds, item) for item in session.items),
        outlook.closing,
    ]
    terminal = os.fdopen(os.dup(2), "w")  # past pytest's capture: it is looked at while tests run
    config.stash[_PROGRESS] = ProgressDisplay(Console(file=terminal), Forecast(pieces))
    shown = _Shown(config.stash[_PROGRESS])
    LOG.addHandler(shown)  # pytest would keep it until a test has failed
    config.add_cleanup(lambda: LOG.removeHandler(shown))


class _Shown(logging.Handler):
    """Shows what is logged where the progress is."""

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
    """What the user can put right is one line, also when it shows only while measuring, and ends the run.

    So does a loop that fails, for which there is no record. With --full-trace, or a --tb, pytest shows the traceback.
    """
    try:
        return (yield)
    except (LoopError, UsageError) as error:
        item.config.stash[_FAILED] = error
        if not _wants_traceback(item.config):
            _exit(error)
        item.session.shouldfail = "nothing can be measured any more"
        raise


def _wants_traceback(config: pytest.Config) -> bool:
    return bool(config.getoption("fulltrace")) or config.getoption("tbstyle") != "auto"


def _exit(error: Exception) -> NoReturn:
    pytest.exit(str(error), returncode=exit_code(error))


@pytest.fixture(scope="session")
def progress(pytestconfig: pytest.Config) -> ProgressDisplay:
    """Is told what is running."""
    return pytestconfig.stash[_PROGRESS]


@pytest.fixture(scope="session")
def processes(residences: Residences | None) -> Iterator[Processes | ProcessesElsewhere]:
    """Where trials run, each in a process of its own; those that they are forked from import in the background."""
    from loop_bench.arms.trials import ProcessesElsewhere
    from loop_bench.experiments.survival.trial import SurvivalTrial
    from loop_bench.experiments.telemetry.trial import TelemetryTrial

    if residences is None:
        with Processes(SurvivalTrial, TelemetryTrial) as here:
            yield here
    else:
        with ProcessesElsewhere({arm: residences.launch(arm) for arm in ARMS}, SurvivalTrial) as there:
            yield there


@pytest.fixture(scope="session")
def residences(pytestconfig: pytest.Config) -> Iterator[Residences | None]:
    """Where the arms live, with their worktrees; None where both live in this process."""
    with residing(pytestconfig) as entered:
        yield entered


@contextlib.contextmanager
def residing(config: pytest.Config) -> Iterator[Residences | None]:
    """Has the arms of a run live where they are asked to.

    It does not ask for the run's settings, which may have to start TensorFlow to choose a preset: processes of trials,
    which import it beside this one, are begun after this.
    """
    asked = pytest_options.asked(config)
    lives = homes.homes(asked)
    if not lives:
        yield None
        return
    from loop_bench.arms.residences import Residences

    factories = {arm: asked[arm] for arm in ARMS}
    with (
        _interrupted_when_terminated(),
        Residences(lives, factories, asked["link"] or (), pytest_options.results(config)) as entered,
    ):
        config.stash[_LACKING] = entered.notes
        yield entered


@contextlib.contextmanager
def _interrupted_when_terminated() -> Iterator[None]:
    """Has SIGTERM, as `timeout` and schedulers send it, do what Ctrl-C does: Python would clean nothing.

    Some send it twice; the second one must not interrupt the cleaning.
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
    """The workers that train together with this process, where TF_CONFIG names some."""
    of_several = task()
    if of_several is None:
        yield None
        return
    from loop_bench.multiworker.company import Company

    asked = pytest_options.asked(pytestconfig)
    loops = [(asked[arm], options.loop_options(asked)) for arm in ARMS]
    with _interrupted_when_terminated(), Company(of_several, loops, progress.stage) as entered:
        yield entered


@pytest.fixture(scope="session")
def measurement(
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
    progress: ProgressDisplay,
    residences: Residences | None,
    company: Company | None,
) -> Measurement:
    """Gathers what all the tests find."""
    progress.stage("starting TensorFlow, loading the loops")
    return begin(pytestconfig, lambda: request.getfixturevalue("processes"), residences, company)


def begin(
    config: pytest.Config,
    processes: Callable[[], Processes | ProcessesElsewhere],
    residences: Residences | None = None,
    company: Company | None = None,
) -> Measurement:
    """Starts TensorFlow and loads the loops; has begun the processes, if any are wanted, and waited for them.

    What the loops' modules put into the environment, those processes see only when they load the loops themselves.

    Args:
        config: of the run.
        processes: begins them.
        residences: where the loops live; None: in this process.
        company: the workers that train together with this process; None: it trains by itself.
    """
    before, began = config.stash[_BEFORE_TESTS], time.monotonic()
    # By default this process would take all memory of a GPU, and those in which loops have faults need some.
    gpu.share()
    # They import TensorFlow while it is imported here: that takes one core each.
    forked = (Stage.SURVIVAL, Stage.UTILISATION) if residences is None else (Stage.SURVIVAL,)
    others = processes() if config.stash[_OUTLOOK].expects(*forked) else None
    with builtin.importing_tensorflow():
        from loop_bench.experiments.run.measurement import Measurement

    made = config.stash[_MEASUREMENT] = Measurement(pytest_options.settings(config), residences, company)
    made.pace.start = before + time.monotonic() - began
    if others:
        others.wait_until_ready()  # or they would disturb what is timed
    made.stages.add(Stage.START, before + time.monotonic() - began)
    return made


@pytest.fixture
def counted(benchmark: Any) -> None:
    """For tests that count and do not time: --benchmark-only selects them by it, and they make no row."""


@pytest.fixture(scope="session")
def at_end(pytestconfig: pytest.Config) -> AtEnd:
    """Has something shown when all tests are over."""
    shown: list[Show] = pytestconfig.stash.setdefault(_SHOWN, [])
    return shown.append


@pytest.fixture(scope="session")
def came_to_nothing(pytestconfig: pytest.Config) -> Callable[[str], NoReturn]:
    """Fails a test whose stage or experiment has found nothing, for a reason; the run goes on, and has its record."""
    flaws = pytestconfig.stash.setdefault(_FLAWS, [])

    def fail(reason: str) -> NoReturn:
        flaws.append(reason)
        pytest.fail(reason, pytrace=False)

    return fail


@pytest.fixture(scope="session")
def rounds(measurement: Measurement, progress: ProgressDisplay, pytestconfig: pytest.Config) -> Sequence[Round]:
    """Both loops and the null arm, timed in turns until the settings are met; whether they worked is looked at too."""

    def tell(number: int, share: float) -> None:
        progress.forecast.reach(share)
        progress.stage("timing before, null arm and after in turns", f": round {number + 1}")

    progress.stage("building the loops: tracing, compiling, warming up")
    _ = measurement.timed
    outlook = pytestconfig.stash[_OUTLOOK]
    measurement.limit_rounds(outlook.limit_rounds())
    measurement.time_rounds(tell, None if outlook.is_limited_by_user else FEWEST_PAIRS)
    measurement.check_work()
    return measurement.rounds


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Adds what pytest-benchmark does not know: GPU, driver, CUDA, TensorFlow.

    Of that, what stays: pytest-benchmark warns when it is not what it was in the run compared with.
    """
    from loop_bench.machine.environment import environment

    changing = ("commit", "dirty", "gpu_allow_growth")  # the last is set only when the loops are loaded
    machine_info["loop_bench"] = {key: value for key, value in environment().items() if key not in changing}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Writes record and table, if the run is whole, and has the gate decide."""
    config, measurement = session.config, session.config.stash.get(_MEASUREMENT, None)
    failed = config.stash.get(_FAILED, None)
    if failed:
        session.exitstatus = exitstatus = exit_code(failed)
    flaws = config.stash.get(_FLAWS, [])
    only_flaws = exitstatus == pytest.ExitCode.TESTS_FAILED and session.testsfailed == len(flaws) and not failed
    if measurement is None or not (exitstatus == pytest.ExitCode.OK or only_flaws):
        # A gate that was given nothing to judge must not pass, nor say "slower" or "inconclusive" with pytest's own
        # codes. (Wrong use and Ctrl-C stay 2.)
        wanted = not config.getoption("collectonly") and pytest_options.is_gated(config)
        if wanted and exitstatus not in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR):
            session.exitstatus = 4
            config.stash[_NOTHING_TO_JUDGE] = True
        return
    from loop_bench.cli.closing import Closing

    closing = config.stash[_CLOSING] = Closing.of(measurement.record(), pytest_options.results(config), tuple(flaws))
    session.exitstatus = closing.judge(pytest_options.gate(config) if pytest_options.is_gated(config) else None)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Shows the table and what the gate says, last of all; before them what tests have to show besides."""
    for show in config.stash.get(_SHOWN, []):
        _write(terminalreporter, show)
    closing = config.stash.get(_CLOSING, None)
    if closing is None:
        for note in config.stash.get(_LACKING, []):
            terminalreporter.write_line(note)
        if _MEASUREMENT in config.stash:
            terminalreporter.write_line("no record and no table: the run was not completed, or a test failed")
        if config.stash.get(_NOTHING_TO_JUDGE, False):
            terminalreporter.write_line("gate: invalid: there is no record to judge")
        return
    _write(terminalreporter, closing.show)


def _write(reporter: pytest.TerminalReporter, show: Show) -> None:
    from loop_bench.report import terminal

    console = terminal.console(in_a_pipe=140)
    with console.capture() as shown:  # and written by pytest, so that it stands in its place among pytest's lines
        show(console)
    reporter.write(f"\n{shown.get()}")
