"""The convergence experiment, as a function and as a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from loop_bench.experiments.convergence.plan import EPOCHS, TIME_LIMIT, ConvergencePlan
from loop_bench.experiments.convergence.record import ConvergenceRecord
from loop_bench.experiments.experiment import Asked, Experiment, Folder, Option, Parts, RunSwitch, WholeNumber, place
from loop_bench.jobs import pool
from loop_bench.jobs.gather import Run, gather, in_processes
from loop_bench.machine.environment import environment
from loop_bench.settings import Settings


def converge(
    plan: ConvergencePlan,
    folder: Path,
    workers: int,
    progress: Callable[[str], None] = lambda title: None,
    run: Run = in_processes,
) -> ConvergenceRecord:
    """Runs the planned trials that have no result yet, and returns the record of all.

    Args:
        plan: loops and seeds.
        folder: gets a folder `trials` of results; an interrupted experiment resumes there.
        workers: processes at a time.
        progress: called with the title of each finished run.
        run: where the trials run.

    Raises:
        UsageError: see `gather`; or a loop has no evaluate().
    """
    machine = environment()
    results = gather(plan.trials(), folder / "trials", environment=machine, workers=workers, progress=progress, run=run)
    return ConvergenceRecord.of(plan, results, machine)


class ConvergenceExperiment(Experiment):
    """Train both loops from several seeds, and compare their quality over the batches, with a verdict.

    A loop reports its quality in evaluate() -> {name: number}; ↓ or ↑ at the end of a name marks the better direction.
    The built-in loops begin with the same pre-trained networks and are evaluated at one temperature, whatever they
    train at: by the oracle's NLL of generated lines (on a script, by BLEU and self-BLEU) and by the NLL of held-out
    lines. A third loop, the loop after at a fixed temperature, separates the effect of annealing from all others.

    Each run has a process of its own, so that a crash is a result. An interruption (Ctrl-C, a power cut) loses only the
    runs in progress: the same command resumes the rest.

    Examples: loop-bench converge --seeds 10

    loop-bench converge --preset paper --script hamlet.csv --seeds 5 --out runs/hamlet

    loop-bench converge --before my.old:make --after my.new:make --every 100
    """

    name = "convergence"
    options = (
        "--before",
        "--after",
        ("--preset", {"default": "tiny"}),
        "--script",
        Option("--seeds", "runs of each loop; an interval needs 2, and is wide below 5", WholeNumber(1), "5"),
        Option("--epochs", "epochs to train; quality is evaluated after each", WholeNumber(1), str(EPOCHS)),
        Option(
            "--every",
            "batches of an epoch",
            WholeNumber(1),
            default_words="batches_per_epoch in the loop's describe()",
        ),
        Option("--seed", "the first seed", WholeNumber(0), "0"),
        Option(
            "--out",
            "folder for the runs, the record, tables and plot",
            Folder(),
            default_words="results/runs/convergence-PRESET",
        ),
        "--workers",
        "--on",
        ("--time-limit", {"default": str(TIME_LIMIT)}),
    )
    shares_gpu = True
    stage = "both loops from several seeds, each in a process of its own"
    switch = RunSwitch(
        Option(
            "--convergence",
            f"also train both loops for {EPOCHS} epochs from this many seeds and compare their quality; writes to "
            "RESULTS/convergence-PRESET, where an interrupted run resumes",
            WholeNumber(1),
            metavar="SEEDS",
        ),
        without="takes long: --convergence was not given",
    )

    def in_run(self, value: int) -> dict[str, Any]:
        """See Experiment."""
        return {"seeds": value}

    def seconds(self, asked: Asked) -> float:
        """See Experiment; of the built-in loops at preset tiny."""
        return 60.0 * float(asked["seeds"])

    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Parts:
        """See Experiment."""
        plan = pair.convergence(settings, asked["seeds"], asked["epochs"], asked["every"])
        plan = plan.model_copy(update={"time_limit": asked["time_limit"]})
        checks = {arm.factory: arm.check for arm in pair.arms}
        for loop in plan.loops.values():
            if check := checks.get(loop.factory):
                check(plan.preset, settings.seed, loop.options)

        def work(folder: Path, done: Callable[[str], None]) -> ConvergenceRecord:
            with place(asked) as run:
                return converge(plan, folder, asked["workers"] or pool.workers(), done, run)

        return Parts(len(plan.trials()), work)

    def causes(self, record: ConvergenceRecord) -> dict[str, list[str]]:
        """See Experiment."""
        return {loop: [course.flaw for course in courses] for loop, courses in record.courses.items()}
