"""Measures how often a gate with `--against` is wrong: on identical code, and with 5% and 10% of real extra work.

    python results/gate/against.py run quiet    # 100 runs
    python results/gate/against.py run busy     # 100 records of identical code, while another process keeps a core busy
    python results/gate/against.py noise        # a loop and itself in processes of their own, and in one: 20 runs each
    python results/gate/against.py outcome      # lets the gate judge all runs: against.md (against_tables.py)

After an interruption, `run` and `noise` resume.

Each run makes a git repository of its own. Its commit has a small loop around `tf.GradientTape` (LOOP), which is
quick to build; its working tree has the same loop, unchanged and with extra work. The loop before and the null arm run
at HEAD, the loop after in the working tree, each in processes of its own that alternate, eight of them one after the
other. Worktree, processes, orders, stopping rule and gate are those of `--against` with its default options, with these
differences: blocks of one batch, which reach a precision in less time; WARM_UP rounds before the first that counts,
where a run trains one block of each loop; and three loops after, with the same code and with 5% and 10% more work, each
in processes of its own, so that one run gives three records. In the busy condition, all three have the same code. The
stages before and after the rounds of a run are left out. `noise` takes the null arms of whole runs of `loop-bench run`
with its defaults.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from against_tables import judged, null_arms
from pairs import Pair
from planted import steps_in_a_block
from rich.console import Console
from rich.progress import track

from loop_bench.arms.process import ArmProcess
from loop_bench.arms.residences import Residences
from loop_bench.cli.homes import PROCESSES
from loop_bench.experiments.run.measurement import MADE, SUBJECT
from loop_bench.experiments.run.record import Record
from loop_bench.home import Home
from loop_bench.loop import LoopSpec, build, load
from loop_bench.machine.environment import environment
from loop_bench.records.change import MACHINE
from loop_bench.settings import ARMS, NULL, Settings
from loop_bench.timing.rounds import Interleaver

HERE = Path(__file__).parent
THIS_MACHINE = HERE / "epyc-9004-2-cores"
LOOP = "loop_bench.examples.images:on_host"
FACTORY = "extra_work:make_loop"
SETTINGS = Settings(
    before=FACTORY,
    after=FACTORY,
    preset="any",
    seed=0,
    batches=1,
    homes={ARMS[0]: Home(revision="HEAD"), ARMS[1]: Home()},
    processes=PROCESSES,
)

SLOWER_IN_TURNS = 1.22
"""Factor by which a block is slower between blocks of other processes than directly after its own."""

BEGINNING = 0.009
"""Fixed cost of planted work, as a share of a block. Measured like the factor above: with steps for only 5% and 10%,
loops were 5.9% and 10.8% slower (13 runs)."""

WARM_UP = 30
"""Rounds before the first that counts in a group. They alternate: after two processes had trained 30 batches each, one
after the other, the second was 1% faster in all later rounds of one batch."""

LOOPS = {
    "quiet": {"same": 0.0, "slow_5": 0.05, "slow_10": 0.10},
    "busy": {"same": 0.0, "same_2": 0.0, "same_3": 0.0},
}
"""By condition, the loops after and the share of extra work in each."""

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
console = Console(stderr=True)

Condition = Annotated[str, typer.Argument(help="quiet, or busy: another process keeps a core busy.")]
Folder = Annotated[Path, typer.Option(help="Folder for the samples, one line of JSON per run.")]


@app.command()
def run(condition: Condition, runs: int = 100, folder: Folder = THIS_MACHINE) -> None:
    """Adds to the samples until there are this many records of identical code."""
    if condition not in LOOPS:
        raise typer.BadParameter(f"{condition!r}: must be one of {', '.join(LOOPS)}")
    same = sum(not share for share in LOOPS[condition].values())
    with _busy_core() if condition == "busy" else contextlib.nullcontext():
        _add(folder / f"against-{condition}.jsonl", -(-runs // same), ["one", condition])


@app.command()
def noise(runs: int = 20, folder: Folder = THIS_MACHINE) -> None:
    """Adds runs of two loops with the same code, alternately in processes of their own and in one process."""
    for number in range(1, runs + 1):
        for where in ("apart", "together"):
            _add(folder / f"noise-{where}.jsonl", number, ["null", where])


def _add(path: Path, lines: int, arguments: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    existing = len(path.read_text().splitlines()) if path.exists() else 0
    for _ in track(range(existing, lines), f"{path.stem}: {existing} of {lines} exist", console=console):
        finished = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, check=True)
        with path.open("ab") as file:
            file.write(finished.stdout)


@contextlib.contextmanager
def _busy_core() -> Iterator[None]:
    """Keeps a core busy with another process during the with block."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


@app.command(hidden=True)
def one(condition: Condition) -> None:
    """Prints the samples of one run as a line of JSON."""
    loops = {name: f"extra_work:{name if share else 'same'}" for name, share in LOOPS[condition].items()}
    print(json.dumps(_run(loops)))


@app.command(name="null", hidden=True)
def null_arm(where: str) -> None:
    """Prints the samples of one run of the loop against itself, in two processes or in one, as a line of JSON."""
    print(json.dumps(_whole_run("--isolate") if where == "apart" else _whole_run()))


def _run(loops: dict[str, str]) -> dict[str, Any]:
    """The samples of a run with these loops after."""
    began, groups = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder, _inside(folder):
        _repository(Path(folder))
        with Residences(SETTINGS.homes, dict.fromkeys(ARMS, FACTORY)) as residences:
            for group in range(SETTINGS.processes):
                groups.append(_group(residences, loops, group))
    return _line(groups, began)


def _group(residences: Residences, loops: dict[str, str], group: int) -> dict[str, list[int]]:
    """Times a group: microseconds of each block by loop, each loop in a process that ends with the group."""
    residences.begin(MADE)
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor() as threads:
        processes = {name: residences.process(name) for name in (ARMS[0], NULL)}
        first, *rest = loops
        processes[first] = residences.process(ARMS[1])
        processes |= {name: stack.enter_context(residences.another(ARMS[1])) for name in rest}
        subjects = threads.map(lambda name: _begun(processes[name], loops.get(name, FACTORY)), processes)
        return _rounds({name: subject.train for name, subject in zip(processes, subjects, strict=True)}, group)


def _begun(process: ArmProcess, factory: str) -> Any:
    """A loop in a process of its own, after its first batch."""
    subject = process.make(SUBJECT, factory, SETTINGS.preset, SETTINGS.seed, {}, process.name)
    subject.begin()
    return subject


@contextlib.contextmanager
def _inside(folder: str) -> Iterator[None]:
    """Makes a folder the current one, and the first on the path of modules."""
    previous = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        os.chdir(previous)


def _whole_run(*options: str) -> dict[str, Any]:
    """The blocks of before and null arm in a whole run of the loop against itself, with the harness's defaults."""
    began = time.monotonic()
    loops = ("--before", LOOP, "--after", LOOP, "--preset", "any", "--survival", "none", "--utilisation", "0")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "loop_bench", "run", *loops, "--results", folder, *options]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        (path,) = Path(folder).glob("*.json")
        record = Record.read(path)
    groups: list[dict[str, list[int]]] = []
    for group in range(record.settings.processes):
        rounds = [timed for timed in record.rounds if timed.group == group]
        groups.append({name: [round(1e6 * timed.seconds[name]) for timed in rounds] for name in (ARMS[0], NULL)})
    return _line(groups, began)


def _rounds(timers: dict[str, Any], group: int) -> dict[str, list[int]]:
    """Times rounds until the harness's stopping rule would end them for every pair; microseconds of each block."""
    interleaver = Interleaver(timers, SETTINGS.batches, group=group)
    for _ in range(WARM_UP):
        interleaver.round()
    interleaver.rounds.clear()
    pairs = {name: Pair(SETTINGS, group) for name in [*timers][1:]}
    while not all(pair.ended for pair in pairs.values()):
        interleaver.round()
        seconds = interleaver.rounds[-1].seconds
        for name, pair in pairs.items():
            pair.add(seconds[ARMS[0]], seconds[NULL], seconds[name])
    return {name: [round(1e6 * timed.seconds[name]) for timed in interleaver.rounds] for name in timers}


def _line(groups: list[dict[str, list[int]]], began: float) -> dict[str, Any]:
    machine = environment()
    return {
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "environment": {key: machine[key] for key in (*MACHINE, "python", "versions")},
        "load": os.getloadavg(),
        "seconds": round(time.monotonic() - began, 1),
        "groups": groups,
    }


def _repository(folder: Path) -> None:
    """Makes a repository whose commit has the loop, and whose working tree also has it with extra work."""
    file = folder / "extra_work.py"

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=folder, check=True)

    git("init", "--quiet")
    file.write_text("from loop_bench.examples.images import on_host as make_loop\n", encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "--message", "The loop as it is")
    work = (HERE / "planted.py").read_text(encoding="utf-8")
    (folder / "planted.py").write_text(work, encoding="utf-8")
    file.write_text(_WORKING_TREE.format(steps=_steps(), beginning=BEGINNING), encoding="utf-8")


_WORKING_TREE = '''
"""The loop as it is, and with more work in each block of one batch."""

from planted import Planted

from loop_bench.examples.images import on_host as make_loop

STEPS = {steps}  # that take as long as a block
BEGINNING = {beginning}

same = make_loop


def slow_5(spec):
    return Planted(make_loop(spec), 0.05, STEPS, BEGINNING)


def slow_10(spec):
    return Planted(make_loop(spec), 0.10, STEPS, BEGINNING)
'''


def _steps() -> float:
    """The number of planted multiplications that take as long as a block between blocks of other loops."""
    loop = build(LOOP, load(LOOP), LoopSpec(SETTINGS.preset, SETTINGS.seed))
    loop.run(50)
    return SLOWER_IN_TURNS * steps_in_a_block([loop], 1)


@app.command()
def outcome(folder: Folder = THIS_MACHINE) -> None:
    """Lets the gate judge all runs, and writes a count of its decisions to against.md."""
    text = ""
    for condition, shares in LOOPS.items():
        if lines := _lines(folder / f"against-{condition}.jsonl"):
            text += f"## {condition}, {len(lines)} runs\n\n{judged(lines, shares, SETTINGS)}\n"
    apart, together = (_lines(folder / f"noise-{where}.jsonl") for where in ("apart", "together"))
    if apart and together:
        text += f"## Null arms\n\n{null_arms(apart, together)}\n"
    print(text)
    (folder / "against.md").write_text(text.rstrip() + "\n", encoding="utf-8")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app()
