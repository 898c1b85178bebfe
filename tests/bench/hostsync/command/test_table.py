import dataclasses
import io
import json

import pytest
import tensorflow as tf
from rich.console import Console

from loop_bench.errors import UsageError
from loop_bench.hostsync import HostOp, Site
from loop_bench.hostsync.command import table
from loop_bench.hostsync.command.findings import Syncs
from loop_bench.hostsync.command.program import Program
from loop_bench.hostsync.reconcile import Reconciled
from loop_bench.hostsync.trace import Copy
from loop_bench.hostsync.tracing import TracedSite
from loop_bench.source import Frame

PLAIN = {"exit_code": 0, "seconds": 2.0, "seconds_tracing": 0.5}
SITE = Site("gone.py", 9, "float", 30, 120, 0.5, 10, 0.4, 2, ("MainThread",))
OP = HostOp("print", "PrintV2", "print", "step", "train.py", 5)
TRACED = TracedSite(
    "step", "gone.py", 3, 5, 4, ("Python value of n: 0 → 1 (4 times)",), ("value",),
    tuple(("gone.py", line) for line in (9, 8, 7, 6)), in_pipeline=False,
)  # fmt: skip
FOUND = Syncs(
    "train.py", sites=(SITE,), host_ops=(OP, dataclasses.replace(OP, name="print_1"), OP), copies=None, **PLAIN
)


def by_column(texts):
    """Rows of a table as dicts by column."""
    return [dict(zip(texts.columns, row, strict=True)) for row in texts.rows]


def test_a_row_a_line():
    (row,) = by_column(table.sites(FOUND))
    assert row == {
        "call site": "gone.py:9", "route": "float\n2 allowed", "reads": "30", "reads/s": "15", "bytes": "120",
        "blocked": "500 ms", "ready": "20", "had to wait": "10 for 400 ms",
    }  # fmt: skip


def test_the_source_and_the_readers_stand_below(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("\nmodel.fit(x)\n")
    frames = (Frame("logs.py", 7, "convert"), Frame("logs.py", 9, "on_end"))
    site = dataclasses.replace(SITE, file=str(tmp_path / "train.py"), line=2, readers=((frames, 4),))
    (row,) = by_column(table.sites(dataclasses.replace(FOUND, sites=(site,))))
    assert row["call site"].splitlines() == ["train.py:2", "model.fit(x)", "4 × convert ← on_end (logs.py:7)"]


def test_what_the_device_says_is_in_the_table():
    copies = Reconciled(5, (Copy("GPU:0", 8, 0.0, 0.1), Copy("GPU:0", 4, 0.0, 0.1)), 7, 1)
    rows = by_column(table.sites(dataclasses.replace(FOUND, copies=copies)))[1:]
    assert [(row["call site"].split(" ")[0], row["reads"], row["bytes"]) for row in rows] == [
        ("copies", "5", ""), ("copies", "2", "12"), ("reads", "7", ""), ("reads", "1", ""),
    ]  # fmt: skip
    assert rows[1]["call site"] == "copies that no call site explains"


def test_ops_in_graphs_are_gathered():
    assert table.in_graphs(FOUND).rows == [("train.py:5", "print (PrintV2)", "step\nin 2 traces", "2")]


def test_a_function_that_was_traced_again_has_a_row_and_its_ops_one():
    found = dataclasses.replace(FOUND, traced=(TRACED, dataclasses.replace(TRACED, function="once", again=0)))
    assert table.retraces(found).rows == [
        ("step\ngone.py:3", "5", "Python value of n: 0 → 1 (4 times)", "gone.py:9\ngone.py:8\ngone.py:7\n1 more")
    ]
    assert [row["in function"] for row in by_column(table.in_graphs(found))] == ["step\nin 2 traces"]
    assert table.totals(found)[1] == "10 traces of 2 functions, 4 of them again; tracing took 500 ms"


def said(syncs):
    """All lines outside of the tables."""
    return [*table.totals(syncs), *table.notes(syncs)]


def test_the_totals_come_first_and_the_notes_last():
    out = io.StringIO()
    table.show(Console(file=out, width=120), FOUND)
    shown = out.getvalue()
    assert shown.startswith("30 host syncs in 2.00 s of train.py")
    assert shown.index("30 host syncs in") < shown.index("call site") < shown.index("Time waited is mostly")
    text = table.markdown(FOUND)
    assert text.startswith("30 host syncs in")


def test_the_notes_list_what_was_not_seen():
    lines = said(dataclasses.replace(FOUND, sites=(), session_runs=20, graphs_before=1, has_children=True))
    assert lines[0].startswith("0 host syncs seen in")
    assert lines[-3:] == [
        "not seen: reads of TensorFlow 1 sessions: 20 runs of tf.compat.v1.Session",
        "not seen: reads in other processes that the program started",
        "not seen: host ops in graphs that were traced before the program began: 1 graph",
    ]


def test_empty_tables_are_left_out():
    nothing = dataclasses.replace(FOUND, sites=(), host_ops=())
    assert table.tables(nothing) == []
    assert len(table.tables(FOUND)) == 2
    assert table.totals(nothing)[0] == "0 host syncs in 2.00 s of train.py"


def test_the_notes_say_what_waiting_means_and_what_was_not_recorded():
    lines = said(dataclasses.replace(FOUND, unseen=("the buffer protocol: why",)))
    assert lines[0].endswith("500 ms blocked in them, 400 ms of it before the value was ready")
    assert any("work that was queued" in line for line in lines)
    assert lines[-1] == "not seen: the buffer protocol: why"
    ready = dataclasses.replace(FOUND, sites=(dataclasses.replace(SITE, waits=0, waited=0.0, seconds=1e-5),))
    assert not any("work that was queued" in line for line in table.notes(ready))
    assert "10 µs blocked" in table.totals(ready)[0]


def test_markdown_has_both_tables():
    text = table.markdown(FOUND)
    assert "| gone.py:9" in text
    assert "float<br>2 allowed" in text
    assert "| print (PrintV2)" in text
    assert "not the cost of the copy." in text
    assert "what to do" not in text  # nobody knows what `gone.py` says


def test_the_notes_speak_of_a_cpu_only_where_it_is_one():
    ready = dataclasses.replace(FOUND, sites=(dataclasses.replace(SITE, waits=0, waited=0.0, reads=1),))
    assert table.totals(ready)[0].startswith("1 host sync in ")
    assert table.notes(ready)[0].startswith("On a CPU")
    assert table.notes(dataclasses.replace(ready, has_gpu=True)) == []
    assert not any("On a CPU" in line for line in table.notes(FOUND))


def test_it_says_what_was_refused_and_what_was_not_looked_into():
    lines = said(dataclasses.replace(FOUND, refused=2, has_children=True))
    assert "2 host syncs refused" in lines
    assert lines[-1] == "not seen: reads in other processes that the program started"


def test_a_narrow_terminal_has_fewer_columns():
    (_, wide), _ = table.tables(FOUND, 100)
    (_, narrow), _ = table.tables(FOUND, 99)
    assert list(narrow.columns) == ["call site", "route", "reads", "bytes", "had to wait"]
    assert set(narrow.columns) < set(wide.columns)
    ready = dataclasses.replace(FOUND, sites=(dataclasses.replace(SITE, waits=0, waited=0.0),))
    (_, unwaited), _ = table.tables(ready, 99)
    assert list(unwaited.columns) == ["call site", "route", "reads", "bytes", "blocked"]


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
    assert (found["traced"][0]["function"], found["traced"][0]["traces"]) == ("step", 1)
    assert [each["rule"] for each in found["advice"]] == ["print in a step"]
    assert json.loads(json.dumps(Syncs.of(program).plain(with_advice=False)))["advice"] == []


def test_a_refusal_that_the_program_catches_is_reported(tmp_path, monkeypatch):
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
