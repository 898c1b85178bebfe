"""Host syncs of a program need no extra: every way to record them works without the extras' packages."""

import os
import subprocess
import sys

import programs
import pytest

from loop_bench.extras import EXTRAS

REFUSED = sorted({module for brought in EXTRAS.values() for module in brought.values()} - {"tensorflow", "pytest"})

TRAIN = """
import tensorflow as tf
@tf.function
def step(x, n):
    tf.print("in graph", output_stream="file:///dev/null")
    return x + n
for n in range(20):
    loss = float(step(tf.ones([]), n))
"""

TESTS = """
import pytest, tensorflow as tf
@pytest.mark.max_host_syncs(1)
@pytest.mark.max_retraces(0)
def test_within(host_syncs):
    float(tf.ones([]))
    assert len(host_syncs.reads) == 1
@pytest.mark.max_host_syncs(0)
def test_over():
    float(tf.ones([]))
"""

CELL = """%%host_syncs
import tensorflow as tf
[float(tf.ones([])) for _ in range(20)]
"""

PROGRAM = """
import builtins

importing = builtins.__import__

def refusing(name, globals=None, locals=None, fromlist=(), level=0):
    asking = (globals or {{}}).get("__name__", "")
    # Keras, Typer and IPython may import them for themselves; so what is imported already is refused as well.
    if asking.startswith("loop_bench") and not level and name.partition(".")[0] in {refused}:
        raise ModuleNotFoundError(f"{{asking}} imports {{name}}", name=name)
    return importing(name, globals, locals, fromlist, level)

builtins.__import__ = refusing

def part(title):
    print(f"@@ {{title}}", flush=True)

part("package")
import loop_bench
from loop_bench import hostsync
print(loop_bench.LoopSpec("any"), *(getattr(hostsync, name) for name in hostsync.__all__))

from loop_bench.cli.commands import main
def command(*arguments):
    try:
        return main([*arguments])
    except SystemExit as end:
        return end.code
for how in ((), ("--stack",), ("--json",), ("--markdown",), ("--no-advice", "--trace"), ("--disallow",), ("--help",)):
    part(f"syncs {{' '.join(how)}}".strip())
    print("code", command("syncs", *how, "train.py"))

part("pytest")
import pytest
plugins = ["-p", "loop_bench.cli.plugin", "-p", "loop_bench.hostsync.plugin"]
print("code", int(pytest.main(["-q", "-p", "no:cacheprovider", *plugins, "test_it.py"])))

part("notebook")
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "loop_bench.hostsync")
from loop_bench.hostsync.command import notebook
shown = []
notebook.display = shown.append
shell.run_cell({cell!r}).raise_error()
print(shown[0]._repr_html_(), repr(shown[0]))

part("refused")
try:
    from loop_bench import statistics
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Output of the program, by part."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "train.py").write_text(TRAIN)
    (folder / "test_it.py").write_text(TESTS)
    (folder / "program.py").write_text(PROGRAM.format(refused=REFUSED, cell=CELL))
    # Plugins of others, which are installed here, need what is refused.
    own = {**programs.alone(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "IPYTHONDIR": str(folder), "COLUMNS": "160"}
    own["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    titled = (part.partition("\n") for part in done.stdout.split("@@ ")[1:])
    return {title: text for title, _, text in titled}


def test_the_extras_packages_are_refused(parts):
    assert parts["refused"] == "loop_bench.statistics imports scipy\n"


@pytest.mark.parametrize("how", ["syncs", "syncs --stack"])
def test_tables_and_advice(parts, how):
    for text in ("train.py:8", "functions traced again", "print (PrintV2)", "20 host syncs in", "what to do"):
        assert text in parts[how]
    assert parts[how].endswith("code 0\n")


def test_json_and_markdown(parts):
    assert '"reads": 20' in parts["syncs --json"]
    assert "| train.py:8<br>loss = float(step(tf.ones([]), n)) | float" in parts["syncs --markdown"]


def test_refusals_and_traces(parts):
    assert parts["syncs --disallow"].endswith("code 1\n")
    assert "copies that no call site explains" in parts["syncs --no-advice --trace"]
    assert "what to do" not in parts["syncs --no-advice --trace"]


def test_markers_and_fixture(parts):
    assert "1 failed, 1 passed" in parts["pytest"]
    assert "test_over" in parts["pytest"]


def test_the_magic(parts):
    assert "<td>20</td>" in parts["notebook"]
    assert "20 host syncs in" in parts["notebook"]
