"""Measures the cost of an installation beside TensorFlow, and of `--help` after it: before there were extras, and now.

    python results/install/cost.py             # writes epyc-9004-2-cores/cost.md; on a machine that does nothing else

It needs a clone, because the earlier state is taken from its history. Two environments of this Python get TensorFlow
first; the packages that pip adds to it are counted and timed. Installations alternate and use pip's cache, which a
first round fills; commands alternate as well, and a first round compiles their bytecode.
"""

from __future__ import annotations

import collections
import functools
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from loop_bench.machine import environment
from loop_bench.report import markdown
from loop_bench.report.texts import Texts

HERE = Path(__file__).parent
CLONE = HERE.parents[1]

BEFORE = "8fe07dd"
"""The last commit without extras."""


class Environment(NamedTuple):
    """A virtual environment, and the source of the package to install in it."""

    folder: Path
    source: Path

    def python(self, *arguments: object) -> str:
        """Runs the environment's Python and returns its standard output."""
        command = [self.folder / "bin" / "python", *map(str, arguments)]
        variables = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        variables.pop("PYTHONPATH", None)
        return subprocess.run(
            command, cwd=self.folder, env=variables, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def packages(self) -> set[str]:
        """The names of the installed packages."""
        listed = self.python("-m", "pip", "list", "--format", "freeze").splitlines()
        return {line.partition("==")[0] for line in listed}

    def nbytes(self) -> int:
        """The size of all installed packages in bytes."""
        return size(Path(self.python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()))


class Took(NamedTuple):
    """The duration of some work: by the clock, which other work on the machine affects, and as CPU time."""

    seconds: float
    cpu: float


class Installed(NamedTuple):
    """One installation: added packages, their size, and its duration."""

    packages: frozenset[str]
    nbytes: int
    took: Took


def took(work: Callable[[], object]) -> Took:
    """Measures the duration of work in other processes."""
    used, began = os.times(), time.monotonic()
    work()
    seconds, now = time.monotonic() - began, os.times()
    spent = now.children_user + now.children_system - used.children_user - used.children_system
    return Took(seconds, spent)


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def made(folder: Path, source: Path, tensorflow: str) -> Environment:
    """Makes an environment with TensorFlow and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    environment = Environment(folder, source)
    environment.python("-m", "pip", "install", "--quiet", tensorflow)
    return environment


def installed(where: Environment, extras: str, keep: bool) -> Installed:
    """Installs the package with extras and measures it; uninstalls it again unless `keep`."""
    packages, nbytes = where.packages(), where.nbytes()
    duration = took(lambda: where.python("-m", "pip", "install", "--quiet", f"{where.source}{extras}"))
    added = frozenset(where.packages() - packages)
    installation = Installed(added, where.nbytes() - nbytes, duration)
    if not keep:
        where.python("-m", "pip", "uninstall", "--quiet", "--yes", *added)
    return installation


def as_it_was(folder: Path, commit: str) -> Path:
    """Extracts the files of a commit into a folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=CLONE, stdout=subprocess.PIPE, check=True).stdout
    (packed := folder.with_suffix(".tar")).write_bytes(archive)
    with tarfile.open(packed) as files:
        files.extractall(folder, filter="data")
    return folder


def table(installs: dict[str, Sequence[Installed]], helps: dict[str, Sequence[Took]]) -> Texts:
    """The table with a row for each kind of installation."""
    rows = []
    for name, installations in installs.items():
        rows.append((
            name,
            str(len(installations[-1].packages)),
            f"{installations[-1].nbytes / 2**20:.0f}",
            *_words([installation.took for installation in installations], 1),
            *_words(helps.get(name, ()), 2),
        ))  # fmt: skip
    columns = [f"{command}, {unit}" for command in ("install", "--help") for unit in ("s", "CPU s")]
    return Texts(["installed beside TensorFlow", "packages", "MiB", *columns], rows)


def _words(durations: Sequence[Took], decimals: int) -> tuple[str, str]:
    """Median and range of the durations, by the clock and as CPU time; empty: not measured."""
    if not durations:
        return "", ""
    seconds, cpu = (
        f"{np.median(values):.{decimals}f} ({min(values):.{decimals}f} to {max(values):.{decimals}f})"
        for values in zip(*durations, strict=True)
    )
    return seconds, cpu


def main(
    installations: Annotated[int, typer.Option(min=1, help="Installations of each kind.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each command.")] = 10,
    tensorflow: Annotated[
        str, typer.Option(help="TensorFlow, installed in both environments first.")
    ] = "tensorflow==2.21.*",
    out: Annotated[Path, typer.Option(help="File for the table.")] = HERE / "epyc-9004-2-cores" / "cost.md",
) -> None:
    """Measures and writes the table."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        parent = Path(folder)
        before = made(parent / "before", as_it_was(parent / "was", BEFORE), tensorflow)
        now = made(parent / "now", as_it_was(parent / "is", "HEAD"), tensorflow)
        kinds = {
            f"everything, as at {BEFORE}": (before, ""),
            "now: '.[compare]'": (now, "[compare]"),
            "now: '.[compare,history,seqgan]'": (now, "[compare,history,seqgan]"),
            "now: '.[cluster]'": (now, "[cluster]"),
            "now: '.', the core": (now, ""),
        }
        installs: dict[str, list[Installed]] = collections.defaultdict(list)
        rounds = range(installations + 1)  # the first fills pip's cache
        for number in track(rounds, "installing", console=console, transient=True):
            for name, (where, extras) in kinds.items():
                keep = number == installations and name in (next(iter(kinds)), next(reversed(kinds)))
                installation = installed(where, extras, keep=keep)
                installs[name] += [installation] if number else []
        commands = {
            next(iter(kinds)): (before, ("-m", "bench", "--help")),
            next(reversed(kinds)): (now, ("-m", "loop_bench", "--help")),
        }
        helps: dict[str, list[Took]] = collections.defaultdict(list)
        for number in range(repeats + 1):
            for name, (where, command) in commands.items():
                duration = took(functools.partial(where.python, *command))
                helps[name] += [duration] if number else []
        core = sorted(installs[next(reversed(kinds))][-1].packages)
    notes = [
        f"the core brings: {', '.join(core)}",
        f"{tensorflow} was there; {installations} installations of each in turns, from pip's cache; "
        f"{repeats} runs of each command in turns; seconds: median (range); MiB with bytecode",
        environment.machine(environment.environment()),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(markdown.render(table(installs, helps), notes), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
