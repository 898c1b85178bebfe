"""Records what `%%host_syncs` shows below a notebook's cell, run by nbclient in a kernel of its own.

python results/hostsync/notebook.py     # ten seconds; writes notebook.md
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import nbclient
import nbformat
import typer

from loop_bench.machine import environment

HERE = Path(__file__).parent
CELLS = (
    "%load_ext loop_bench.hostsync\nimport tensorflow as tf\n\nx = tf.constant([1.0, 2.0])",
    """\
@tf.function
def train_step(x, step):
    if step % 10 == 0:
        tf.print("step", step, output_stream="file:///dev/null")
    return tf.reduce_sum(x) * step""",
    """\
%%host_syncs
losses = []
for step in range(20):
    losses.append(train_step(x, step).numpy())
losses[-1] + x""",
)


def shown() -> str:
    """The output of the last cell, as text."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # The folder of this clone must not depend on how the package was installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(HERE.parents[1] / "src"), os.environ.get("PYTHONPATH")])
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    tables = (output["data"] for output in notebook.cells[-1].outputs if "text/html" in output.get("data", {}))
    text: str = next(data["text/plain"] for data in tables)
    return "\n".join(line.rstrip() for line in text.splitlines())


def main(
    out: Annotated[Path, typer.Option(help="File for the text.")] = HERE / "epyc-9004-2-cores" / "notebook.md",
) -> None:
    """Runs the notebook and writes its output."""
    cells = "\n\n".join(f"```python\n{cell}\n```" for cell in CELLS)
    where = environment.machine(environment.environment())
    text = f"# Host syncs of a notebook's cell\n\nBy `python results/hostsync/notebook.py`; {where}.\n\n{cells}\n\n"
    out.write_text(f"{text}```\n{shown()}\n```\n", encoding="utf-8")
    print(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
