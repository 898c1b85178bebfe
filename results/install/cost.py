"""What an installation costs beside TensorFlow, and `--help` after it: as it was before there were extras, and now.

    python results/install/cost.py             # writes epyc-9004-2-cores/cost.md; on a machine that does nothing else

In a clone, for the state before is taken out of its history. Two environments of this Python get TensorFlow first; what
is counted and timed is what pip puts beside it. Installs take turns, from pip's cache, which a first one of each has
filled; so do the commands, which the installed packages' bytecode has been compiled for.
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
    """A virtual environment, and what pip is asked to put into it."""

    folder: Path
    source: Path

    def python(self, *arguments: object) -> str:
        """What its Python prints."""
        command = [self.folder / "bin" / "python", *map(str, arguments)]
        variables = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        variables.pop("PYTHONPATH", None)
        return subprocess.run(
            command, cwd=self.folder, env=variables, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def packages(self) -> set[str]:
        """The names of what is installed."""
        listed = self.python("-m", "pip", "list", "--format", "freeze").splitlines()
        return {line.partition("==")[0] for line in listed}

    def nbytes(self) -> int:
        """Of all installed packages."""
        return size(Path(self.python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()))


class Took(NamedTuple):
    """How long something took: by the clock, which slows with all else that runs on the machine, and of CPUs."""

    seconds: float
    cpu: float


class Installed(NamedTuple):
    """One installation: what came, and how long it took."""

    packages: frozenset[str]
    nbytes: int
    took: Took


def took(work: Callable[[], object]) -> Took:
    """What some work in other processes takes."""
    used, began = os.times(), time.monotonic()
    work()
    seconds, now = time.monotonic() - began, os.times()
    spent = now.children_user + now.children_system - used.children_user - used.children_system
    return Took(seconds, spent)


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def made(folder: Path, source: Path, tensorflow: str) -> Environment:
    """An environment that has TensorFlow and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    found = Environment(folder, source)
    found.python("-m", "pip", "install", "--quiet", tensorflow)
    return found


def installed(where: Environment, extras: str, keep: bool) -> Installed:
    """Installs, looks at what came, and unless it is to be kept takes it away again."""
    packages, nbytes = where.packages(), where.nbytes()
    spent = took(lambda: where.python("-m", "pip", "install", "--quiet", f"{where.source}{extras}"))
    came = frozenset(where.packages() - packages)
    found = Installed(came, where.nbytes() - nbytes, spent)
    if not keep:
        where.python("-m", "pip", "uninstall", "--quiet", "--yes", *came)
    return found


def as_it_was(folder: Path, commit: str) -> Path:
    """The files of a commit."""
    archive = subprocess.run(["git", "archive", commit], cwd=CLONE, stdout=subprocess.PIPE, check=True).stdout
    (packed := folder.with_suffix(".tar")).write_bytes(archive)
    with tarfile.open(packed) as files:
        files.extractall(folder, filter="data")
    return folder


def table(installs: dict[str, Sequence[Installed]], helps: dict[str, Sequence[Took]]) -> Texts:
    """A row for each installation."""
    rows = []
    for name, each in installs.items():
        rows.append((
            name,
            str(len(each[-1].packages)),
            f"{each[-1].nbytes / 2**20:.0f}",
            *_words([found.took for found in each], 1),
            *_words(helps.get(name, ()), 2),
        ))  # fmt: skip
    columns = [f"{what}, {unit}" for what in ("install", "--help") for unit in ("s", "CPU s")]
    return Texts(["installed beside TensorFlow", "packages", "MiB", *columns], rows)


def _words(found: Sequence[Took], decimals: int) -> tuple[str, str]:
    """Median and range, by the clock and of CPUs; empty where nothing was measured."""
    if not found:
        return "", ""
    seconds, cpu = (
        f"{np.median(values):.{decimals}f} ({min(values):.{decimals}f} to {max(values):.{decimals}f})"
        for values in zip(*found, strict=True)
    )
    return seconds, cpu


def main(
    installations: Annotated[int, typer.Option(min=1, help="Of each kind.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="Of each command.")] = 10,
    tensorflow: Annotated[str, typer.Option(help="What both environments have already.")] = "tensorflow==2.21.*",
    out: Annotated[Path, typer.Option(help="The table.")] = HERE / "epyc-9004-2-cores" / "cost.md",
) -> None:
    """Measures and writes the table."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        before = made(there / "before", as_it_was(there / "was", BEFORE), tensorflow)
        now = made(there / "now", as_it_was(there / "is", "HEAD"), tensorflow)
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
                is_last_there = number == installations and name in (next(iter(kinds)), next(reversed(kinds)))
                found = installed(where, extras, keep=is_last_there)
                installs[name] += [found] if number else []
        commands = {
            next(iter(kinds)): (before, ("-m", "bench", "--help")),
            next(reversed(kinds)): (now, ("-m", "loop_bench", "--help")),
        }
        helps: dict[str, list[Took]] = collections.defaultdict(list)
        for number in range(repeats + 1):
            for name, (where, command) in commands.items():
                spent = took(functools.partial(where.python, *command))
                helps[name] += [spent] if number else []
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
