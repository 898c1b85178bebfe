"""The survival experiment, as a function and as a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from loop_bench.experiments.experiment import Asked, Experiment, Folder, Option, Parts, WholeNumber, place
from loop_bench.experiments.survival import outcome
from loop_bench.experiments.survival.plan import SurvivalPlan, canonical
from loop_bench.experiments.survival.record import SurvivalRecord
from loop_bench.jobs import pool
from loop_bench.jobs.gather import Run, gather, in_processes
from loop_bench.machine.environment import environment
from loop_bench.settings import ARMS, Settings


def survive(
    plan: SurvivalPlan,
    folder: Path,
    workers: int,
    shown: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda title: None,
    run: Run = in_processes,
) -> SurvivalRecord:
    """Runs the planned trials that have no result yet, and judges all of them.

    Args:
        plan: loops, faults and seeds.
        folder: gets a folder `trials` of results; an interrupted experiment resumes there.
        workers: processes at a time.
        shown: faults whose metrics are kept batch by batch.
        progress: called with the title of each finished trial.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    machine = environment()
    results = gather(plan.trials(), folder / "trials", environment=machine, workers=workers, progress=progress, run=run)
    return outcome.record(plan, results, machine, shown)


class SurvivalExperiment(Experiment):
    """Inject faults such as NaN and exploding gradients into both loops, and tabulate which loop survives.

    Each run has a process of its own, so that a crash is a result. An interruption (Ctrl-C, a power cut) loses only the
    runs in progress: the same command resumes the rest.

    A fault is nan, inf or scale=FACTOR, followed by the settings that differ from these defaults: in=gradients (or
    weights, learning_rate, module:function(argument), or method(argument) of the loop), target=all (or part of the
    variables' names), extent=all (or variable, element), batch=10, batches=1, probability=1, growth=1, seed=0. Under
    tf.distribute, replica=NUMBER hits only the gradients of that replica, before they are summed.

    Examples: loop-bench survive --out runs/survival

    loop-bench survive --before my.old:make --after my.new:make --fault nan --fault scale=1e4,target=encoder
    """

    name = "survival"
    options = (
        "--before",
        "--after",
        ("--preset", {"default": "tiny"}),
        "--script",
        Option("--seeds", "runs of each loop with each fault", WholeNumber(1), "10"),
        Option(
            "--fault",
            "inject only this fault; may be repeated",
            default_words="the whole matrix",
            metavar="FAULT",
            repeated=True,
        ),
        Option(
            "--epochs",
            "also train each loop for this many epochs without a fault, to see whether it crashes",
            WholeNumber(0),
            "0",
        ),
        Option("--out", "folder for the trials, the record, tables and plots", Folder(), "results/runs/survival"),
        "--workers",
        "--on",
        ("--time-limit", {"default": "300"}),
    )

    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Parts:
        """See Experiment."""
        plan = pair.survival(settings, asked["seeds"], asked["epochs"])
        plan = plan.model_copy(update={"time_limit": asked["time_limit"]})
        if asked["fault"]:
            plan = plan.only(canonical(asked["fault"]), ARMS)
        shown = pair.shown(plan)

        def work(folder: Path, done: Callable[[str], None]) -> SurvivalRecord:
            with place(asked) as run:
                return survive(plan, folder, asked["workers"] or pool.workers(), shown, done, run)

        return Parts(len(plan.trials()), work)

    def causes(self, record: SurvivalRecord) -> dict[str, list[str]]:
        """See Experiment; a crash after a fault is a result, not a failure."""
        return {
            loop: [
                *("" if run.tested else f"{run.outcome}: {run.reason}" for run in runs),
                *("" if run.tested else f"{run.ended}: {run.why}" for run in record.undisturbed.get(loop, ())),
            ]
            for loop, runs in record.survivals.items()
        }
