import json

import pytest
import tensorflow as tf

from bench.errors import UsageError
from bench.hostsync.command.program import Program
from bench.hostsync.command.syncs import Syncs

PROGRAM = """
import tensorflow as tf
x = tf.constant(1.0)
@tf.function
def step(x):
    tf.print("in graph", output_stream="file:///dev/null")
    return x + 1
for _ in range(3):
    loss = float(step(x))
print(loss)
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PROGRAM)
    return Program(["train.py"])


def test_finds_what_a_program_reads(program, tmp_path):
    found = Syncs.of(program)
    (site,) = found.sites
    assert site.file == str(tmp_path / "train.py")
    assert (site.line, site.route, site.reads, site.nbytes) == (9, "float", 3, 12)
    assert site.source == "loss = float(step(x))"
    assert [op.kind for op in found.host_ops] == ["text", "print"]
    assert (found.program, found.exit_code, found.reads) == ("train.py", 0, 3)
    assert found.seconds > 0
    assert found.copies is None
    assert found.unseen == ()


def test_disallowed_the_first_read_ends_it(program, capsys):
    found = Syncs.of(program, disallow=True)
    assert (found.exit_code, found.reads, found.refused) == (1, 0, 1)
    assert "train.py:9: host sync: float of a float32" in capsys.readouterr().err


def test_a_trace_reconciles(program):
    copies = Syncs.of(program, trace=True).copies
    assert (copies.matched, copies.unexplained, copies.python_only) == (0, (), 3)  # on a CPU nothing is copied


def test_can_be_written_as_json(program):
    found = json.loads(json.dumps(Syncs.of(program, stack=True).plain()))
    assert (found["reads"], found["exit_code"], found["sites"][0]["source"]) == (3, 0, "loss = float(step(x))")
    assert found["sites"][0]["readers"] == []
    assert found["host_ops"][0]["function"] == "step"


def test_a_refusal_that_the_program_swallows_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(
        "import tensorflow as tf\nfor _ in range(3):\n    try:\n        float(tf.constant(1.0))\n"
        "    except Exception:\n        pass\n"
    )
    found = Syncs.of(Program(["train.py"]), disallow=True)
    assert (found.refused, found.exit_code) == (3, 1)


def test_a_program_that_starts_others_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starts.py").write_text("import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'])")
    (tmp_path / "alone.py").write_text("pass")
    assert Syncs.of(Program(["starts.py"])).has_children
    assert not Syncs.of(Program(["alone.py"])).has_children


def test_a_profiler_that_runs_already_is_wrong_use(program, tmp_path):
    tf.profiler.experimental.start(str(tmp_path / "trace"))
    try:
        with pytest.raises(UsageError, match="a profiler is running in this program already"):
            Syncs.of(program, trace=True)
    finally:
        tf.profiler.experimental.stop(save=False)
