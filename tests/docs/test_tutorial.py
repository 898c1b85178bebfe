"""The tutorial: its programs are those of docs/tutorial/, and its short commands run as they stand there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from programs import alone
from records import arm, record, traced

from loop_bench.experiments.run.verdict import Verdict

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = (DOCS / "tutorial.md").read_text(encoding="utf-8")
PROGRAMS = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "tutorial").glob("*.py")}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMANDS = [
    command
    for kind, block in FENCED.findall(TUTORIAL)
    if kind == "sh"
    for command in block.replace("\\\n", " ").splitlines()
    if command.startswith("loop-bench ")
]
SHORTER = ("--rounds", "10", "--utilisation", "0", "--survival", "none")
"""Of a run, which else takes minutes."""


def run(folder, command, *more):
    """What a command of the tutorial printed, in a folder with its programs."""
    words = shlex.split(command, comments=True)[1:]
    variables = {**alone(), "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "loop_bench", *words, *more],
        cwd=folder, env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def command(name):
    """The first of that name."""
    return next(each for each in COMMANDS if each.startswith(f"loop-bench {name} "))


def test_it_is_short():
    assert len(TUTORIAL.splitlines()) <= 200


def test_its_programs_are_those_of_the_folder():
    blocks = [block for kind, block in FENCED.findall(TUTORIAL) if kind == "python"]
    assert len(blocks) >= 3
    for block in blocks:
        assert any(f"\n{block}" in f"\n{text}" for text in PROGRAMS.values()), block


def test_lines_that_it_names_are_where_it_says():
    named = set(re.findall(r"(train|loops)\.py:(\d+)", TUTORIAL))
    assert named
    for name, number in named:
        assert PROGRAMS[f"{name}.py"].splitlines()[int(number) - 1].strip() in TUTORIAL


def test_the_doubt_that_it_quotes_is_worded_as_the_code_words_it():
    (quoted,) = re.findall(r"^doubt: ((?:.+\n)+?)```", TUTORIAL, re.MULTILINE)
    quoted = " ".join(quoted.split())
    count, function, file, line, why = re.search(r"(\d+) .*\(most often (\w+), ([\w.]+):(\d+), (.*)\)", quoted).groups()
    of_it = traced(function, int(count), (why,)).model_copy(update={"file": file, "line": int(line)})
    (doubt,) = Verdict.of(record(arms={"before": arm("loops:before", traced=(of_it,))})).doubts
    assert quoted == doubt


@pytest.mark.slow
def test_syncs_shows_the_lines_that_read(folder):
    shown = run(folder, command("syncs"))
    for name, number in set(re.findall(r"(train)\.py:(\d+)", TUTORIAL)):
        assert f"{name}.py:{number}" in shown


@pytest.mark.slow
def test_the_rewrite_computes_the_same(folder):
    assert re.search(r"(?m)^equivalent: .*bit for bit", run(folder, command("equivalence")))


@pytest.mark.slow
def test_the_pair_is_compared(folder):
    # Which verdict so few rounds reach is the machine's affair; both loops must have done their work, and the same.
    assert re.search(r"(?m)^(faster|inconclusive): ", run(folder, command("run"), *SHORTER))
