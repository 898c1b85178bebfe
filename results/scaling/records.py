"""Measures the cost of the harness itself with 100,000 survival trials, none of which trains a loop.

    python results/scaling/records.py      # about ten minutes; writes epyc-9004-2-cores/records.md

The harness's own functions do everything around the trials: plan them, start and end processes, gather results from the
folder of an interrupted experiment, judge, write, read, report and plot. Simulated are the observations of trials
(`simulation.py`), and their processes, which end as soon as they are started. Each group of steps runs in a process of
its own, several times, alternately. The table has the least time, because other work on the machine only adds to it;
CPU time, which is less affected; and the largest peak of memory.
"""

from __future__ import annotations

import concurrent.futures
import gc
import io
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np
import simulation
import typer
from rich.console import Console
from rich.progress import track

from loop_bench import builtin
from loop_bench.cli.progress import TrialsDisplay
from loop_bench.experiments import registry
from loop_bench.experiments.survival import outcome
from loop_bench.experiments.survival.observation import Observation
from loop_bench.experiments.survival.plan import SurvivalPlan
from loop_bench.jobs import folder as folders
from loop_bench.jobs import pool
from loop_bench.jobs.folder import LockedFolder
from loop_bench.jobs.gather import Done, gather
from loop_bench.jobs.pool import Job
from loop_bench.jobs.trial import Result
from loop_bench.machine import environment
from loop_bench.report import files, html, markdown, plots, terminal
from loop_bench.report.texts import Texts

HERE = Path(__file__).parent

READS = 100_000
"""Host reads in a log."""

FRAMES = 20
"""Frames of the program below a read."""

Value = TypeVar("Value")

Here = dict[str, Any]
"""A record's environment."""


class Step(NamedTuple):
    """Time and memory of one step."""

    group: str
    name: str
    seconds: float
    cpu: float  # seconds, of all threads
    peak: float  # MiB, of the process so far


class Stopwatch:
    """Measures the steps of one process."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.steps: list[Step] = []
        self.sizes: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[[], Value]) -> Value:
        """Does and measures a step; returns its result."""
        started, cpu = time.perf_counter(), time.process_time()
        result = work()
        durations = time.perf_counter() - started, time.process_time() - cpu
        self.steps.append(Step(self.group, name, *durations, peak()))
        return result


def peak() -> float:
    """The peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def shown(plan: SurvivalPlan) -> tuple[str, ...]:
    """The faults whose metrics are kept batch by batch, as in the command."""
    return builtin.find(builtin.BEFORE, builtin.AFTER).shown(plan)


def judge(folder: Path, count: int, here: Here) -> Stopwatch:
    """Plans the trials, judges their results and writes the record."""
    took = Stopwatch("judge")
    plan = simulation.plan(count)
    trials = took("plan: all trials", plan.trials)
    results = simulation.SimulatedResults(trials)
    for trial in trials:  # simulated beforehand, so that judging is timed alone
        simulation.result(trial)
    record = took("judge all runs", lambda: outcome.record(plan, results, here, shown(plan)))
    path = took("write the record", lambda: record.write_as(folder / "record.json"))
    took.sizes = {"trials": len(trials), "record, MiB": path.stat().st_size / 2**20}
    return took


def show(folder: Path, count: int, here: Here) -> Stopwatch:
    """Reads the record and makes all its reports and plots."""
    took = Stopwatch("show")
    record = took("read the record", lambda: registry.read(folder / "record.json"))
    report = took("make the report", lambda: registry.report(record))
    took("print it on a terminal", lambda: terminal.report(Console(file=io.StringIO(), width=160), report))
    took("as Markdown", lambda: markdown.page(report))
    took("as CSV", lambda: files.comma_separated(report))
    drawn = took("plot, as SVG", lambda: {each.stem: plots.svg(each.draw()) for each in report.pictures})
    took("plot, as PNG", lambda: [plots.png(each.draw()) for each in report.pictures])
    took("as a page", lambda: html.page(report, drawn))
    return took


def resume(folder: Path, count: int, here: Here) -> Stopwatch:
    """Resumes an experiment whose trials all have results."""
    took = Stopwatch("resume")
    plan = simulation.plan(count)
    trials = plan.trials()
    display = TrialsDisplay(Console(file=io.StringIO(), force_terminal=True, width=80), len(trials))

    def gathered() -> Any:
        with display:
            return gather(trials, folder / "trials", environment=here, progress=display.done)

    results = took("gather what is done", gathered)
    took("judge it from the files", lambda: outcome.record(plan, results, here, shown(plan)))
    return took


class Instant:
    """A process that has already ended, with a result."""

    lost = False

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, 0."""
        return 0

    def kill(self) -> None:
        """Does nothing: the process has ended."""

    def close(self) -> None:
        """Does nothing: the process has no files."""


class InstantServer:
    """Starts processes that end at once."""

    def start(self, arguments: list[str], *options: Any) -> Instant:
        """Makes the file of the result, whose path is the last argument."""
        Path(arguments[-1]).touch()
        return Instant()


def run(folder: Path, count: int, here: Here) -> Stopwatch:
    """Runs all trials in the pool of local processes, without the time of the processes themselves."""
    took = Stopwatch("run")
    trials = simulation.plan(count).trials()
    with tempfile.TemporaryDirectory(dir=folder) as new, folders.locked(Path(new)) as locked:

        def run_all() -> None:
            jobs = [Job(trial.key, ("-m", "x", trial.model_dump_json()), trial.title) for trial in trials]
            pool.run(InstantServer(), jobs, locked, 2, lambda job, death: death.why)  # type: ignore[arg-type]

        took("begin and end all trials", run_all)
    return took


def log(folder: Path, count: int, here: Here) -> Stopwatch:
    """Records many host reads of one line, without and with their stacks."""
    import tensorflow as tf

    from loop_bench import hostsync

    took, value = Stopwatch("log"), tf.constant(1.0)

    def below(depth: int) -> None:
        if depth:
            below(depth - 1)
        else:
            for _ in range(READS):
                float(value)

    for stack in (False, True):
        name = f"{READS:,} reads{', each with its stack' if stack else ''}"
        gc.collect()
        before = held()

        def recorded(stack: bool = stack) -> Any:
            with hostsync.record(stack=stack) as log:
                below(FRAMES)
            return log

        read_log = took(name, recorded)
        took.sizes["with its stack" if stack else "a read"] = (held() - before) / READS
        took(f"sites of {name}", lambda read_log=read_log: hostsync.by_site(read_log.reads))
        del read_log
    return took


def held() -> int:
    """The resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Links:
    """Runs trials for `gather` by linking their simulated results, without processes.

    Seeds that share a simulated result link to one file, because writing 100,000 files would mostly time the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sources: dict[int, Path] = {}
        self.bytes = 0

    def __call__(self, trials: Any, locked: LockedFolder, workers: int, done: Done) -> None:
        """See `gather.Run`."""
        for trial in trials:
            source = self._source(simulation.result(trial))
            locked.result(trial.key).hardlink_to(source)
            self.bytes += source.stat().st_size
            done(trial)

    def _source(self, result: Result[Observation]) -> Path:
        path = self._sources.setdefault(id(result), self._folder / f"source-{len(self._sources)}")
        if not path.exists():
            path.write_text(result.model_dump_json() + "\n")
        return path


def fill(folder: Path, count: int, here: Here) -> Stopwatch:
    """Makes the folder of an experiment whose trials all have results."""
    took, links = Stopwatch("fill"), Links(folder)
    trials = simulation.plan(count).trials()
    took("gather new results", lambda: gather(trials, folder / "trials", environment=here, run=links))
    took.sizes = {"result, KiB": links.bytes / len(trials) / 1024}
    return took


GROUPS: tuple[Callable[[Path, int, Here], Stopwatch], ...] = (judge, show, resume, run, log)
"""The groups of steps, in the order in which they must run the first time."""


def in_fresh_process(group: Callable[[Path, int, Here], Stopwatch], folder: Path, count: int, here: Here) -> Stopwatch:
    """Runs a group of steps in a new process."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(group, folder, count, here).result()


def table(stopwatches: list[Stopwatch]) -> Texts:
    """The table with a row for each step: least and most time, CPU time, and peak memory of the process."""
    steps: dict[tuple[str, str], list[Step]] = {}
    for step in (step for took in stopwatches for step in took.steps):
        steps.setdefault((step.group, step.name), []).append(step)
    rows = []
    for (_, name), repeats in steps.items():
        seconds = [step.seconds for step in repeats]
        cpu, most = min(step.cpu for step in repeats), max(step.peak for step in repeats)
        rows.append((name, f"{min(seconds):.2f}", f"{max(seconds):.2f}", f"{cpu:.2f}", f"{most:.0f}"))
    return Texts(["step", "s, least", "s, most", "s of CPU time, least", "peak of the process until then, MiB"], rows)


def least(stopwatches: list[Stopwatch], group: str, *but: str) -> np.ndarray:
    """The least sum of a group's steps in one process, without those in `but`: [s, s of CPU time]."""
    runs = (took for took in stopwatches if took.group == group)
    durations = [[(step.seconds, step.cpu) for step in took.steps if step.name not in but] for took in runs]
    return np.min([np.sum(of_run, axis=0) for of_run in durations], axis=0)


def notes(stopwatches: list[Stopwatch], rounds: int, here: Here) -> list[str]:
    """The notes below the table: sizes, sums, machine."""
    sizes = {name: value for took in stopwatches for name, value in took.sizes.items()}
    shown, planned = least(stopwatches, "show"), least(stopwatches, "judge")
    written = least(stopwatches, "judge", "plan: all trials", "judge all runs")
    return [
        f"{sizes['trials']:.0f} simulated trials of the built-in pair; {rounds} rounds of each group of steps, each in "
        "a process of its own",
        f"the record has {sizes['record, MiB']:.0f} MiB, a result {sizes['result, KiB']:.0f} KiB in the mean",
        f"written, read, reported in four formats and plotted in two: {_said(written + shown)}; planned and judged "
        f"besides: {_said(planned + shown)}",
        f"memory of a log of host reads, {FRAMES} frames deep: {sizes['a read']:.0f} bytes a read, "
        f"{sizes['with its stack']:.0f} with its stack",
        environment.machine(here),
    ]


def _said(taken: np.ndarray) -> str:
    return f"{taken[0]:.0f} s ({taken[1]:.0f} s of CPU time)"


def main(
    trials: Annotated[int, typer.Option(min=72, help="Least number of simulated trials.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions of each group of steps.")] = 3,
    out: Annotated[Path, typer.Option(help="File for the table.")] = HERE / "epyc-9004-2-cores" / "records.md",
) -> None:
    """Measures and writes the table."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        here = fresh.submit(environment.environment).result()  # starts TensorFlow, in another process
    with tempfile.TemporaryDirectory(prefix="records-") as name:
        folder = Path(name)
        turns = [fill, *(group for _ in range(rounds) for group in GROUPS)]
        shown = track(turns, "steps", console=Console(stderr=True), transient=True)
        stopwatches = [in_fresh_process(group, folder, trials, here) for group in shown]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(markdown.render(table(stopwatches), notes(stopwatches, rounds, here)), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
