"""Runs `loop-bench syncs` on programs that use Keras and tf.data as their guides teach it.

python results/hostsync/examples.py     # about two minutes; writes examples.md
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from loop_bench.machine import environment

HERE = Path(__file__).parent
COMMANDS = (
    "keras_fit.py",
    "keras_fit.py 10",
    "keras_evaluate.py",
    "tensorboard_callback.py",
    "gradient_tape.py",
    "gradient_tape.py eager",
    "data_to_numpy.py",
    "retracing.py",
)


def found_in(command: str) -> str:
    """The command's output for a program in programs/."""
    arguments = [sys.executable, "-m", "loop_bench", "syncs", "--stack", "--markdown", *command.split()]
    # The folder of this clone must not depend on how the package was installed.
    paths = os.pathsep.join(filter(None, [str(HERE.parents[1] / "src"), os.environ.get("PYTHONPATH")]))
    finished = subprocess.run(
        arguments,
        cwd=HERE / "programs",
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise RuntimeError(f"{command} failed:\n{finished.stderr}")
    return f"## `loop-bench syncs --stack {command}`\n\n{finished.stdout}"


def main(
    out: Annotated[Path, typer.Option(help="File for the tables.")] = HERE / "epyc-9004-2-cores" / "examples.md",
) -> None:
    """Runs every program and writes the tables."""
    titles = (
        "# Host syncs of eight programs\n\nIn results/hostsync/programs/, by `python results/hostsync/examples.py`; "
    )
    parts = [titles + environment.machine(environment.environment()) + ".\n"]
    for command in track(COMMANDS, "programs", console=Console(stderr=True)):
        parts.append(found_in(command))
    out.write_text("\n".join(parts), encoding="utf-8")
    print(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
