"""Which Python and which TensorFlow do what: the same commands in an environment for each, as a user installs it.

    python results/versions/table.py --folder FOLDER                  # all of them, into docs/reference/versions.md
    python results/versions/table.py --folder FOLDER --only 2.16      # those of one TensorFlow, made anew

Each environment is made in FOLDER (`python3.12` and so on must be found) with a TensorFlow, and then loop-bench is
installed beside it from this clone, not in place. What each command gave is kept in FOLDER, so that a run that is
interrupted goes on, and so that the table has all environments whichever were asked for.
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
"""What the tests want, besides the harness."""


class Versions(NamedTuple):
    """An environment: its Python, and what the user has in it before the harness comes."""

    python: str
    tensorflow: str
    others: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """As the table has it."""
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
    """What a command gave, and the folder that it was started in."""

    code: int
    out: str
    err: str
    folder: Path

    def record(self, pattern: str) -> dict[str, Any]:
        """The one record of a pattern that it has left."""
        (path,) = self.folder.glob(pattern)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    @property
    def last_line(self) -> str:
        """The last thing that it said."""
        said = [line.strip() for line in f"{self.out}\n{self.err}".splitlines()]
        return next((line for line in reversed(said) if line), "nothing")


def works(_: Done) -> str:
    """A command that ended well."""
    return "yes"


def routes(done: Done) -> str:
    """How many routes of reads are seen, and why others are not."""
    found: dict[str, str] = json.loads(done.out.splitlines()[-1])
    unseen = [f"{name}: {why}" for name, why in found.items() if why]
    return "; ".join([f"{len(found) - len(unseen)} of {len(found)}", *unseen])


def reads(done: Done) -> str:
    """Reads that `syncs` counted."""
    return f"{sum(site['reads'] for site in json.loads(done.out)['sites'])} reads"


def tests(done: Done) -> str:
    """Tests that passed, and that were skipped."""
    return re.sub(r" in [\d.]+s.*", "", done.last_line.strip("= "))


def equivalence(done: Done) -> str:
    """What was found of the loop after."""
    return str(done.record("out/equivalence.json")["found"]["after"]["reason"])


def fates(done: Done) -> str:
    """What became of each loop, fault by fault."""
    return _fates(done.record("out/survival.json")["survivals"])


def verdict(done: Done) -> str:
    """The verdict of the main job, and what became of the loops in its faults."""
    (line,) = [line for line in done.out.splitlines() if line.partition(": ")[0] in {*map(str, Kind)}]
    arms = done.record("runs/*.json")["arms"]
    return f"{line}; {_fates({arm: each['survivals'] for arm, each in arms.items()})}"


def _fates(survivals: Mapping[str, list[dict[str, Any]]]) -> str:
    return "; ".join(f"{arm}: {', '.join(run['outcome'] for run in runs)}" for arm, runs in survivals.items())


class Check(NamedTuple):
    """A row: the command that is run in each environment, and what its cell says where it ends well."""

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
"""In the order of the table."""


class Environment:
    """An environment on disk, and what has been found out in it.

    Args:
        versions: what it is made of.
        folder: of all environments.
    """

    def __init__(self, versions: Versions, folder: Path) -> None:
        self.versions = versions
        name = f"tensorflow-{versions.tensorflow}-python-{versions.python}"
        self._folder = folder / name
        self._results = folder / f"{name}.json"

    @property
    def cells(self) -> dict[str, str]:
        """What is known, by the titles of the rows."""
        return json.loads(self._results.read_text(encoding="utf-8")) if self._results.exists() else {}

    def make(self) -> None:
        """Makes it: the user's packages, then the harness beside them, then what its tests want."""
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
        """Runs a command, in a folder of its own, and keeps what came of it."""
        with tempfile.TemporaryDirectory() as folder:
            done = self._run(check, Path(folder))
            self._keep(check.title, f"**no**: {done.last_line}" if done.code else check.cell(done))

    def _run(self, check: Check, folder: Path) -> Done:
        program, *arguments = check.command
        variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **check.variables}
        variables["PATH"] = f"{self._folder / 'bin'}{os.pathsep}{variables['PATH']}"
        command = [self._folder / "bin" / program, *arguments]
        try:
            done = subprocess.run(
                command, cwd=folder, env=variables, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return Done(1, "", f"not done in {TIME_LIMIT:.0f} s", folder)
        return Done(done.returncode, done.stdout, done.stderr, folder)

    def _pip(self, *packages: str) -> None:
        subprocess.run([self._folder / "bin" / "pip", "install", "--quiet", *packages], check=True)

    def _installed(self) -> dict[str, str]:
        pip = [self._folder / "bin" / "pip", "list", "--format", "json"]
        listed = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
        return {each["name"].replace("-", "_").lower(): each["version"] for each in json.loads(listed)}

    def _keep(self, title: str, cell: str) -> None:
        self._results.write_text(json.dumps({**self.cells, title: cell}, indent=1), encoding="utf-8")


def table(found: Sequence[Environment]) -> Texts:
    """A row for each capability, a column for each environment."""
    titles = ["what it is", "what the install changes of it", *(check.title for check in CHECKS)]
    rows = [[title, *(each.cells.get(title, "not run") for each in found)] for title in titles]
    return Texts(["", *(each.versions.title for each in found)], rows)


def main(
    folder: Annotated[Path, typer.Option(help="Of the environments, about 2.5 GiB each.")],
    only: Annotated[str | None, typer.Option(help="The environments of one TensorFlow, made anew.")] = None,
) -> None:
    """Makes the environments, runs every command in each, and writes the table."""
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    environments = [Environment(versions, folder.absolute()) for versions in ENVIRONMENTS]
    for each in environments:
        if only not in (None, each.versions.tensorflow):
            continue
        if only or not each.cells:
            console.print(f"{each.versions.title}: is being made")
            each.make()
        for check in CHECKS:
            if check.title not in each.cells:
                console.print(f"{each.versions.title}: {check.title}")
                each.check(check)
    made = markdown.render(table(environments), [environment.machine(environment.environment())])
    text = PAGE.read_text(encoding="utf-8")
    write_whole(PAGE, markdown.replaced(text, "versions", made, str(PAGE)))
    console.print(f"written: {PAGE}")


if __name__ == "__main__":
    typer.run(main)
