"""Checks which versions of Python and TensorFlow work: runs the same commands in an environment for each.

    python results/versions/table.py --folder FOLDER                  # all of them, into docs/reference/versions.md
    python results/versions/table.py --folder FOLDER --only 2.16      # those of one TensorFlow, made anew

Each environment is made in FOLDER (`python3.12` and so on must be installed) with a TensorFlow, to which loop-bench is
added from this clone, not as an editable install. Results are kept in FOLDER, so that an interrupted run resumes, and
the table has all environments even if `--only` selects some.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console

from loop_bench.experiments.run.verdict import Kind
from loop_bench.machine import environment
from loop_bench.report import markdown
from loop_bench.report.texts import Texts
from loop_bench.writing import write_whole

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAMS = HERE / "programs"
PAGE = ROOT / "docs" / "reference" / "versions.md"
TAPE = HERE.parent / "hostsync" / "programs" / "gradient_tape.py"
LEGACY = {"TF_USE_LEGACY_KERAS": "1"}
TIME_LIMIT = 1200.0
"""Seconds for one command."""

FITS = ("--before", "loop_bench.examples.keras_fit:reading", "--after", "loop_bench.examples.keras_fit:keeping")
TRAINED = ("--preset", "tiny", "--set", "mle_epochs=1", "--set", "d_epochs=1", "--set", "epochs=1")
OTHERS = ("loops", "jobs", "experiments/survival")
NAMED = ("tensorflow", "numpy", "keras", "tf_keras", "pandas", "protobuf", "pytest")
TESTED = ("hypothesis", "ipykernel", "nbclient", "pytest-xdist", "pyyaml", "tensorboard", "tqdm")
"""Packages that the tests need in addition to the harness."""


class Versions(NamedTuple):
    """The Python of an environment, and the user's packages in it before the harness is installed."""

    python: str
    tensorflow: str
    others: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The title of the environment's column."""
        return f"TensorFlow {self.tensorflow}, Python {self.python}"


OLDEST = ("numpy==1.26.*", "pandas==2.2.*", "pytest==8.*", "tf_keras==2.16.*")

ENVIRONMENTS = (
    Versions("3.11", "2.16", OLDEST),
    Versions("3.12", "2.18", ("pandas==2.2.*", "tf_keras==2.18.*")),
    Versions("3.13", "2.20", ("pandas==2.3.*", "tf_keras==2.20.*")),
    Versions("3.10", "2.21", ("tf_keras==2.21.*",)),
    Versions("3.11", "2.21", ("tf_keras==2.21.*",)),
    Versions("3.12", "2.21", ("tf_keras==2.21.*",)),
    Versions("3.13", "2.21", ("tf_keras==2.21.*",)),
)


class Done(NamedTuple):
    """The result of a command, and the folder that it ran in."""

    code: int
    out: str
    err: str
    folder: Path

    def record(self, pattern: str) -> dict[str, Any]:
        """The only record that matches a pattern in the folder."""
        (path,) = self.folder.glob(pattern)
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return record

    @property
    def last_line(self) -> str:
        """The last line of the command's output that is not empty."""
        lines = [line.strip() for line in f"{self.out}\n{self.err}".splitlines()]
        return next((line for line in reversed(lines) if line), "nothing")


def works(_: Done) -> str:
    """The cell of a command that succeeded."""
    return "yes"


def routes(done: Done) -> str:
    """The number of recorded routes of reads, and why others are not recorded."""
    reasons: dict[str, str] = json.loads(done.out.splitlines()[-1])
    unseen = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    return "; ".join([f"{len(reasons) - len(unseen)} of {len(reasons)}", *unseen])


def reads(done: Done) -> str:
    """The number of reads that `syncs` counted."""
    return f"{sum(site['reads'] for site in json.loads(done.out)['sites'])} reads"


def tests(done: Done) -> str:
    """The number of tests that passed and were skipped."""
    return re.sub(r" in [\d.]+s.*", "", done.last_line.strip("= "))


def equivalence(done: Done) -> str:
    """The result of the equivalence check of the loop after."""
    return str(done.record("out/equivalence.json")["found"]["after"]["reason"])


def fates(done: Done) -> str:
    """The outcomes of each loop, fault by fault."""
    return _fates(done.record("out/survival.json")["survivals"])


def verdict(done: Done) -> str:
    """The verdict of a run, and the outcomes of its faults."""
    (line,) = [line for line in done.out.splitlines() if line.partition(": ")[0] in {*map(str, Kind)}]
    arms = done.record("runs/*.json")["arms"]
    survivals = {arm: measured["survivals"] for arm, measured in arms.items()}
    return f"{line}; {_fates(survivals)}"


def _fates(survivals: Mapping[str, list[dict[str, Any]]]) -> str:
    return "; ".join(f"{arm}: {', '.join(run['outcome'] for run in runs)}" for arm, runs in survivals.items())


class Check(NamedTuple):
    """A row of the table: the command to run in each environment, and the text of its cell if it succeeds."""

    title: str
    command: tuple[str | Path, ...]
    cell: Callable[[Done], str] = works
    variables: Mapping[str, str] = {}


CAPABILITIES = "import json; from loop_bench import hostsync; print(json.dumps(hostsync.capabilities()))"
FIT = PROGRAMS / "tf_keras_fit.py"
SAME = ("loop-bench", "equivalence", *FITS, "--preset", "any", "--out", "out")
FAULTS = ("nan", "nan,in=weights", "scale=1000,in=learning_rate")
STRUCK = (
    *("loop-bench", "survive", *FITS, "--preset", "any", "--seeds", "1", "--out", "out"),
    *(part for fault in FAULTS for part in ("--fault", fault)),
)
TESTS = ("pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "worksteal")

CHECKS = (
    Check("routes of reads that are seen", ("python", "-c", CAPABILITIES), routes),
    Check("`syncs`: a loop with a tape", ("loop-bench", "syncs", "--json", TAPE), reads),
    Check("`syncs`: `fit` of Keras 3", ("loop-bench", "syncs", "--json", FIT), reads),
    Check("`syncs`: `fit` of Keras 2", ("loop-bench", "syncs", "--json", FIT), reads, LEGACY),
    Check("`syncs --trace`", ("loop-bench", "syncs", "--trace", "--json", TAPE), reads),
    Check("marker and fixture of pytest", ("pytest", "-q", PROGRAMS / "budgets.py"), tests),
    Check("equivalence of two `fit`s, Keras 3", SAME, equivalence),
    Check("equivalence of two `fit`s, Keras 2", SAME, equivalence, LEGACY),
    Check(f"faults in a `fit` ({'; '.join(FAULTS)}), Keras 3", STRUCK, fates),
    Check("the same faults, Keras 2", STRUCK, fates, LEGACY),
    Check(
        "the main job at `tiny`",
        ("loop-bench", "run", "--preset", "tiny", "--rounds", "12", "--results", "runs"),
        verdict,
    ),
    Check("`profile`", ("loop-bench", "profile", "--preset", "tiny", "--out", "out")),
    Check("`doctor`", ("loop-bench", "doctor", "--no-measure")),
    Check("training on a script", ("python", "-m", "loop_bench.seqgan", "train", *TRAINED, "--out", "out")),
    Check("tests: hostsync", (*TESTS, ROOT / "tests" / "bench" / "hostsync"), tests),
    Check(
        "tests: adapters, fork server, faults", (*TESTS, *(ROOT / "tests" / "bench" / each for each in OTHERS)), tests
    ),
)
"""All checks, in the order of the table."""


class Environment:
    """An environment on disk, and the results of the checks in it.

    Args:
        versions: Python and packages of the environment.
        folder: folder of all environments.
    """

    def __init__(self, versions: Versions, folder: Path) -> None:
        self.versions = versions
        name = f"tensorflow-{versions.tensorflow}-python-{versions.python}"
        self._folder = folder / name
        self._results = folder / f"{name}.json"

    @property
    def cells(self) -> dict[str, str]:
        """The cells that are known so far, by the titles of the rows."""
        return json.loads(self._results.read_text(encoding="utf-8")) if self._results.exists() else {}

    def make(self) -> None:
        """Makes the environment: the user's packages, then the harness, then the packages for its tests."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._results.unlink(missing_ok=True)
        subprocess.run([f"python{self.versions.python}", "-m", "venv", self._folder], check=True)
        self._pip(f"tensorflow=={self.versions.tensorflow}.*", *self.versions.others)
        before = self._installed()
        self._pip(f"{ROOT}[compare,history,seqgan]")
        after = self._installed()
        changed = [
            f"{name} {version} → {after.get(name)}" for name, version in before.items() if after[name] != version
        ]
        self._pip(*TESTED)
        self._keep("what it is", ", ".join(f"{name} {before[name]}" for name in NAMED if name in before))
        self._keep("what the install changes of it", "; ".join(changed) or "nothing")

    def check(self, check: Check) -> None:
        """Runs a command in a folder of its own, and keeps the text of its cell."""
        with tempfile.TemporaryDirectory() as folder:
            result = self._run(check, Path(folder))
            self._keep(check.title, f"**no**: {result.last_line}" if result.code else check.cell(result))

    def _run(self, check: Check, folder: Path) -> Done:
        program, *arguments = check.command
        variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **check.variables}
        variables["PATH"] = f"{self._folder / 'bin'}{os.pathsep}{variables['PATH']}"
        command = [self._folder / "bin" / program, *arguments]
        try:
            finished = subprocess.run(
                command, cwd=folder, env=variables, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return Done(1, "", f"did not finish within {TIME_LIMIT:.0f} s", folder)
        return Done(finished.returncode, finished.stdout, finished.stderr, folder)

    def _pip(self, *packages: str) -> None:
        subprocess.run([self._folder / "bin" / "pip", "install", "--quiet", *packages], check=True)

    def _installed(self) -> dict[str, str]:
        pip = [self._folder / "bin" / "pip", "list", "--format", "json"]
        listed = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
        return {package["name"].replace("-", "_").lower(): package["version"] for package in json.loads(listed)}

    def _keep(self, title: str, cell: str) -> None:
        self._results.write_text(json.dumps({**self.cells, title: cell}, indent=1), encoding="utf-8")


def table(environments: Sequence[Environment]) -> Texts:
    """The table with a row for each check and a column for each environment."""
    titles = ["what it is", "what the install changes of it", *(check.title for check in CHECKS)]
    rows = [[title, *(checked.cells.get(title, "not run") for checked in environments)] for title in titles]
    return Texts(["", *(checked.versions.title for checked in environments)], rows)


def main(
    folder: Annotated[Path, typer.Option(help="Folder for the environments, about 2.5 GiB each.")],
    only: Annotated[
        str | None, typer.Option(help="Make only the environments with this TensorFlow anew, and check them.")
    ] = None,
) -> None:
    """Makes the environments, runs every command in each, and writes the table."""
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    environments = [Environment(versions, folder.absolute()) for versions in ENVIRONMENTS]
    for checked in environments:
        if only not in (None, checked.versions.tensorflow):
            continue
        if only or not checked.cells:
            console.print(f"{checked.versions.title}: making the environment")
            checked.make()
        for check in CHECKS:
            if check.title not in checked.cells:
                console.print(f"{checked.versions.title}: {check.title}")
                checked.check(check)
    rendered = markdown.render(table(environments), [environment.machine(environment.environment())])
    text = PAGE.read_text(encoding="utf-8")
    write_whole(PAGE, markdown.replaced(text, "versions", rendered, str(PAGE)))
    console.print(f"written: {PAGE}")


if __name__ == "__main__":
    typer.run(main)
