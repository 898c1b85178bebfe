"""The commands that run loops: experiments with a record, tables and plots of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench import builtin
from bench.cli.options import percentage
from bench.cli.progress import ProgressDisplay, TrialsDisplay
from bench.errors import UsageError
from bench.experiments import kinds
from bench.experiments.convergence import plan as convergence
from bench.experiments.ladder.record import LadderLimits
from bench.experiments.survival.plan import canonical
from bench.experiments.sweep.plan import TIME_LIMIT, parse_axes
from bench.machine import gpu
from bench.records.gate import Outcome
from bench.report import files, terminal
from bench.settings import ARMS, Settings

Before = Annotated[str, typer.Option(metavar="MODULE:FACTORY", help="The loop before.")]
After = Annotated[str, typer.Option(metavar="MODULE:FACTORY", help="The loop after.")]
Preset = Annotated[
    str | None, typer.Option(help=f"Size of the work: {', '.join(builtin.PRESETS)}. Default: by the device.")
]
Script = Annotated[Path | None, typer.Option(help="Train on this script instead of synthetic lines.")]
Seed = Annotated[int, typer.Option(min=0, help="Of weights, data and draws.")]


def survive(
    before: Before = builtin.BEFORE,
    after: After = builtin.AFTER,
    preset: Annotated[str, typer.Option(help=f"Size of the work: {', '.join(builtin.PRESETS)}.")] = "tiny",
    script: Script = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each loop with each fault.")] = 10,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--fault", metavar="FAULT", help="This fault and no others; may be repeated. Default: the matrix."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=0, help="And so many epochs of each loop without any fault.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the trials, the record, tables and plots.")] = Path(
        "results/runs/survival"
    ),
    at_a_time: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes at a time. Default: one a core; on a GPU, one.")
    ] = None,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds for a run; one that takes longer is ended.")] = 300,
) -> None:
    """Put both loops through gradients that explode, and through worse, and tabulate which lives.

    Each run is a process of its own, so that a crash is a result. Ctrl-C, or worse, loses the runs in hand: the same
    command goes on with the rest.

    A fault is nan, inf or scale=FACTOR, and what differs from the defaults of: in=gradients (or weights,
    learning_rate, module:function(argument), or method(argument) of the loop), target=all (or part of the variables'
    names), extent=all (or variable, element), batch=10, batches=1, probability=1, growth=1, seed=0.

    Examples: python -m bench survive --out runs/survival

    python -m bench survive --before my.old:make --after my.new:make --fault nan --fault scale=1e4,target=encoder
    """
    options = _options(script)
    pair = builtin.find(before, after)
    pair.check(preset, 0, options)
    settings = Settings(before=before, after=after, preset=preset, seed=0, batches=1, options=options)
    plan = pair.survival(settings, seeds, epochs).model_copy(update={"time_limit": time_limit})
    if faults:
        plan = plan.only(canonical(faults), ARMS)
    builtin.start_tensorflow()
    # TensorFlow, which wrong arguments and `--help` should not wait for
    from bench.experiments.survival import experiment as survival
    from bench.jobs import pool

    with TrialsDisplay(Console(stderr=True), len(plan.trials())) as display:
        try:
            record = survival.survive(plan, out, at_a_time or pool.workers(), pair.shown(plan), display.done)
        except KeyboardInterrupt:
            raise _interrupted(
                f"the same command goes on with what is left ({display.left} of {display.total})"
            ) from None
    files.leave(record, kinds.report, out).show(_console())


def converge(
    before: Before = builtin.BEFORE,
    after: After = builtin.AFTER,
    preset: Annotated[str, typer.Option(help=f"Size of the work: {', '.join(builtin.PRESETS)}.")] = "tiny",
    script: Script = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each loop; an interval needs 2, and is wide below 5.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="To train; quality is looked at after each.")] = convergence.EPOCHS,
    every: Annotated[
        int | None, typer.Option(min=1, help="Batches of an epoch. Default: what the loop says in describe().")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The first one.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the runs, the record, tables and plot. Default: results/runs/convergence-PRESET."
        ),
    ] = None,
    at_a_time: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes at a time. Default: one a core; on a GPU, one.")
    ] = None,
    time_limit: Annotated[
        float, typer.Option(min=1, help="Seconds for a run; one that takes longer is ended.")
    ] = convergence.TIME_LIMIT,
) -> None:
    """Train both loops from several seeds, and see which learns better: quality over the batches, with a verdict.

    A loop says how good it is in evaluate() -> {name: number}, ↓ or ↑ at the end of a name for the better way. The
    built-in loops begin with the same pre-trained networks, and are rated at one temperature whatever they train at:
    by the oracle's NLL of generated lines, or on a script by BLEU and self-BLEU, and by the NLL of held-out lines.
    A third, the loop after at a fixed temperature, tells what annealing does from what all the rest does.

    Each run is a process of its own, so that a crash is a result. Ctrl-C, or worse, loses the runs in hand: the same
    command goes on with the rest.

    Examples: python -m bench converge --seeds 10

    python -m bench converge --preset paper --script hamlet.csv --seeds 5 --out runs/hamlet

    python -m bench converge --before my.old:make --after my.new:make --every 100
    """
    options = _options(script)
    settings = Settings(before=before, after=after, preset=preset, seed=seed, batches=1, options=options)
    pair = builtin.find(before, after)
    plan = pair.convergence(settings, seeds, epochs, every).model_copy(update={"time_limit": time_limit})
    for loop in plan.loops.values():
        builtin.find(loop.factory, loop.factory).check(preset, seed, loop.options)
    gpu.share()
    builtin.start_tensorflow()
    # TensorFlow, which wrong arguments and `--help` should not wait for
    from bench.experiments.convergence import experiment as convergences
    from bench.jobs import pool

    folder = out or Path(f"results/runs/convergence-{preset}")
    with TrialsDisplay(Console(stderr=True), len(plan.trials())) as display:
        try:
            record = convergences.converge(plan, folder, at_a_time or pool.workers(), display.done)
        except KeyboardInterrupt:
            raise _interrupted(
                f"the same command goes on with what is left ({display.left} of {display.total})"
            ) from None
    files.leave(record, kinds.report, folder).show(_console())
    raise typer.Exit(int(record.is_empty))


def profile(
    before: Before = builtin.BEFORE,
    after: After = builtin.AFTER,
    preset: Preset = None,
    script: Script = None,
    seed: Seed = 0,
    batches: Annotated[
        int, typer.Option(min=1, help="Of each loop in the trace; best a multiple of what it trains in one call.")
    ] = 50,
    every_op: Annotated[
        bool, typer.Option("--every-op", help="On a CPU: cheap ops of plain graphs, too. Tracing takes longer.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the traces and tables. Default: results/runs/profile-PRESET.")
    ] = None,
) -> None:
    """Trace a stretch of each loop, and show where its time goes.

    Each loop is built and warmed first. Then a stretch is traced, between two that are not: what tracing costs is
    shown, and traced times are not to be taken for real ones. The tables say how much of the time ops were running,
    the gaps between them, and which ops take most. The traces are TensorFlow's own: tensorboard --logdir OUT shows
    them.

    Examples: python -m bench profile --preset paper

    python -m bench profile --before my.old:make --after my.new:make --batches 100 --out runs/profile
    """
    options = _options(script)
    builtin.find(before, after).check(preset, seed, options)
    builtin.start_tensorflow()
    from bench.experiments.profile import trial  # TensorFlow, which wrong arguments and `--help` should not wait for

    chosen = preset or builtin.default_preset()
    settings = Settings(before=before, after=after, preset=chosen, seed=seed, batches=batches, options=options)
    folder = out or Path("results/runs") / f"profile-{chosen}"
    display = ProgressDisplay(Console(stderr=True), 1.0)
    try:
        record = trial.profile(settings, folder, display.part(1.0), every_op)
    except KeyboardInterrupt:
        raise _interrupted("traces that are whole are kept") from None
    finally:
        display.pause()
    files.leave(record, kinds.report, folder, [trial.traces(folder)]).show(_console())


def sweep(
    axes: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            "--axis",
            metavar="AXIS=VALUES",
            help="An axis and the values that it takes, such as batch=16,64,256; may be repeated, one axis each.",
        ),
    ] = None,
    before: Before = builtin.BEFORE,
    after: After = builtin.AFTER,
    preset: Preset = None,
    script: Script = None,
    seed: Seed = 0,
    batches: Annotated[int, typer.Option(min=1, help="Batches of each loop in a round.")] = 10,
    rounds: Annotated[int | None, typer.Option(min=1, help="Exactly so many rounds of each point.")] = None,
    precision: Annotated[
        str, typer.Option(metavar="PERCENT", help="Rounds go on until the ratio's interval is narrower.")
    ] = "3%",
    max_time: Annotated[
        float, typer.Option(min=1, help="Or until so many seconds of rounds are over, all points together.")
    ] = 600,
    time_limit: Annotated[
        float, typer.Option(min=1, help="Seconds for a point with all that it takes; a longer one is ended.")
    ] = TIME_LIMIT,
    out: Annotated[Path, typer.Option(help="Folder for the points, the record, tables and plots.")] = Path(
        "results/runs/sweep"
    ),
) -> None:
    """Measure what a batch costs both loops as the work grows: ms/batch and tokens a second.

    Each axis is varied alone, with all else as the preset has it. Each point is a process of its own, so that one
    that runs out of memory is a result, and at least twelve interleaved rounds of both loops and the null arm. Ctrl-C
    loses the point in hand: the same command goes on with the rest. Exit code 1: no point could be measured.

    Axes of the built-in loops: batch, tokens (a line), vocabulary, hidden (units of the LSTM), d_steps (discriminator
    updates a batch). For other loops, the name of an option: a factory finds it in its LoopSpec's options.

    Examples: python -m bench sweep --sweep batch=16,64,256 --sweep tokens=20,40,80 --out runs/sweep

    python -m bench sweep --before my.old:make --after my.new:make --preset any --axis layers=2,4,8
    """
    pair = builtin.find(before, after)
    over = parse_axes(axes or [], tuple(pair.axes.options) if pair.axes else None)
    options = _options(script)
    share = percentage("--precision", precision)
    pair.check(preset, seed, options)
    if preset is None:
        builtin.start_tensorflow()
    settings = Settings(
        before=before, after=after, preset=preset or builtin.default_preset(), seed=seed, batches=batches,
        rounds=rounds, precision=share, max_time=max_time, options=options,
    )  # fmt: skip
    plan = pair.sweep(settings, over, time_limit)
    builtin.start_tensorflow()
    from bench.experiments.sweep import experiment  # TensorFlow, which wrong arguments and `--help` should not wait for

    with TrialsDisplay(Console(stderr=True), len(plan.distinct()), "points", per_second=1) as display:
        try:
            record = experiment.sweep(plan, out, display.done)
        except KeyboardInterrupt:
            raise _interrupted(
                f"the same command goes on with what is left ({display.left} of {display.total})"
            ) from None
    files.leave(record, kinds.report, out).show(_console())
    experiment.forget(out)
    raise typer.Exit(int(not any(found.record for found in record.measured.values())))


def ladder(
    before: Before = builtin.BEFORE,
    after: After = builtin.AFTER,
    preset: Preset = None,
    script: Script = None,
    seed: Seed = 0,
    max_time: Annotated[float, typer.Option(min=1, help="Seconds for the rounds in which all rungs are timed.")] = 300,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Exactly so many rounds instead; an interval needs 10.")
    ] = None,
    batches: Annotated[int, typer.Option(min=1, help="Batches of each rung in a round.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for record, tables, plot and what the rungs' processes found. "
            "Default: results/runs/ladder-PRESET."
        ),
    ] = None,
) -> None:
    """Find out which change between the loops brings what: baseline, then one change at a time, then each left out.

    First each rung runs in a process of its own, one at a time: time to first batch, host syncs, peak memory, and
    whether it still computes what the baseline does; a speed-up of one that does not is invalid. Then all are timed in
    turns in one process, in balanced order, so that drift of the machine hits all of them.

    Ctrl-C loses the process in hand, and the rounds; the same command goes on with the rest. What differs by less
    than the baseline does from a second instance of itself is no measurable difference.

    A pair of your own has the rungs that its module declares (`PAIRS`, see bench/pair.py), else a single step.

    Examples: python -m bench ladder --preset tiny --rounds 20

    python -m bench ladder --preset paper --max-time 600 --out results/ladder-paper
    """
    options = _options(script)
    pair = builtin.find(before, after)
    pair.check(preset, seed, options)
    from bench.experiments.ladder import climb as ladders

    gpu.share()
    builtin.start_tensorflow()
    chosen = preset or builtin.default_preset()
    rungs = pair.ladder(
        Settings(before=before, after=after, preset=chosen, seed=seed, batches=batches, options=options)
    )
    limits, folder = LadderLimits(rounds=rounds, max_time=max_time), out or Path(f"results/runs/ladder-{chosen}")
    display = ProgressDisplay(Console(stderr=True), ladders.seconds(rungs, limits))
    try:
        record = ladders.climb(rungs, limits, folder, display.weighted())
    except KeyboardInterrupt:
        display.pause()
        raise _interrupted("the same command goes on after the rungs whose processes have come to an end") from None
    display.pause()
    files.leave(record, kinds.report, folder).show(_console())


def equivalence(
    before: Before = builtin.BEFORE,
    after: After = builtin.AFTER,
    preset: Preset = None,
    script: Script = None,
    seed: Seed = 0,
    batches: Annotated[int, typer.Option(min=10, help="Of each loop by itself, and as many from one state.")] = 60,
    every_rung: Annotated[
        bool, typer.Option("--every-rung", help="Every change between the loops, and each left out, as well.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for a record and a table. Default: none is written.")] = None,
) -> None:
    """Find out whether the loops compute the same thing; the exit code is 0 if so, else 4.

    Both train from one seed, the built-in ones with clipping out of reach, one temperature and one sampler. What only
    moves reads and calls must come out the same bit for bit: metrics, weights, and drawn tokens where a loop keeps
    them. Where a bit differs, each batch is trained by both from the same state; then only rounding may differ, and the
    first draw that it flips is named.

    Examples: python -m bench equivalence --preset tiny

    python -m bench equivalence --every-rung --out results/runs/equivalence

    python -m bench equivalence --before my.old:make --after my.new:make --preset any
    """
    options = _options(script)
    pair = builtin.find(before, after)
    pair.check(preset, seed, options)
    builtin.start_tensorflow()
    # TensorFlow, which wrong arguments and `--help` should not wait for
    from bench.experiments.equivalence import check as agreement

    chosen = preset or builtin.default_preset()
    settings = Settings(before=before, after=after, preset=chosen, seed=seed, batches=1, options=options)
    candidates = pair.candidates(settings, every_rung)
    with TrialsDisplay(Console(stderr=True), len(candidates), "loops") as display:
        try:
            record = agreement.agreement(settings, candidates, batches, display.done)
        except KeyboardInterrupt:
            raise _interrupted("nothing is written") from None
    (files.leave(record, kinds.report, out) if out else files.Output(kinds.report(record))).show(_console())
    if not all(found.equal for found in record.found.values()):
        raise typer.Exit(int(Outcome.INVALID))


def _console() -> Console:
    return terminal.console(in_a_pipe=160)


def _interrupted(what: str) -> typer.Exit:
    terminal.complain(f"interrupted; {what}")
    return typer.Exit(130)


def _options(script: Path | None) -> dict[str, Any]:
    """What a factory finds in its LoopSpec."""
    if script is None:
        return {}
    if not script.is_file():
        raise UsageError(f"script {script}: no such file")
    return {"script": str(script)}


COMMANDS: tuple[Callable[..., None], ...] = (equivalence, ladder, sweep, profile, survive, converge)
"""In the order in which `--help` names them."""
