import pytest
from everykind import run_record
from records import ENVIRONMENT, RUNS_ON, arm, elsewhere, record, survival, traced
from telemetries import on_cpu

from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.run import read_plots, report
from loop_bench.experiments.run.figures import Comparison
from loop_bench.experiments.run.record import ArmRecord
from loop_bench.experiments.run.verdict import Verdict
from loop_bench.experiments.syncs.record import GraphHostOps, HostSyncs, TracedCopies
from loop_bench.home import Home, Residence
from loop_bench.timing.samples import Start


def whole(factory, reads, temperature, outcome):
    return arm(
        factory,
        reads,
        described_first={"temperature": temperature, "batches_per_epoch": 50},
        described_last={"temperature": temperature / 2},
        starts=(Start(build_seconds=1.0, first_batch_seconds=2.0), Start(build_seconds=1.0, first_batch_seconds=4.0)),
        survivals=(survival(outcome, "scale=1e8,target=generator"),),
    )  # fmt: skip


ARMS = {"before": whole("a:b", 44, 0.8, "frozen"), "after": whole("c:d", 1, 2.0, "survived")}


def rows(found):
    return {row.title: row.texts for row in report.comparison(Comparison.of(found))}


def test_one_row_a_metric():
    assert rows(record(noise=0, arms=ARMS)) == {
        "ms/batch, median (quartiles)": (
            "60.00 (60.00 to 60.00)", "30.00 (30.00 to 30.00)", "2.00× faster (95%: 2.00 to 2.00)",
        ),
        "the same of before against itself (null arm)": (
            "60.00 (60.00 to 60.00)", "60.00 (60.00 to 60.00)",
            "no measurable difference (95% interval of the ratio 1.000 to 1.000)",
        ),
        "time to first batch, s, median (quartiles)": ("4.00 (3.50 to 4.50)", "4.00 (3.50 to 4.50)", "same"),
        "host syncs a batch": ("4.4", "0.1", "44× fewer"),
        "host syncs an epoch of 50 batches": ("220", "5", "44× fewer"),
        "… by numpy at f.py:1": ("4.4", "0.1", "x.numpy()"),
        "bytes read from the device a batch": ("17.6", "0.4", "44× fewer"),
        "temperature, start → end": ("0.80 → 0.40", "2.00 → 1.00", ""),
        "gradients × 1e+08, generator": ("frozen: because", "survived: because", ""),
    }  # fmt: skip


THROUGHPUT = {"history": {"loss": (1.0,) * 50}, "described_last": {"samples": 3200, "tokens_per_sample": 20}}


def test_several_replicas_have_their_throughput():
    arms = {"before": arm("a:b", **THROUGHPUT), "after": arm("c:d", **THROUGHPUT)}
    assert not any("/s" in title for title in rows(record(arms=arms)))
    two = record(noise=0, arms=arms, settings={"options": {"replicas": 2}})
    told = {title: texts for title, texts in rows(two).items() if "/s" in title}
    assert told == {"tokens/s, median (quartiles)": ("21,333 (21,333 to 21,333)", "42,667 (42,667 to 42,667)", "")}
    assert "replicas=2" in report.report(two).notes[2]
    numbers = report.report(two).numbers.set_index(["figure", "loop"])
    assert numbers.loc[("throughput", "after"), "value"] == pytest.approx(64 * 20 / 0.030)


@pytest.mark.parametrize("said", [{}, {"samples": 3200}])
def test_throughputs_are_told_where_both_loops_say_them_and_in_the_same_unit(said):
    arms = {"before": arm("a:b", **THROUGHPUT), "after": arm("c:d", **{**THROUGHPUT, "described_last": said})}
    found = rows(record(arms=arms, settings={"options": {"replicas": 2}}))
    assert not any("/s" in title for title in found)
    if said:
        both = {name: arm("a:b", **{**THROUGHPUT, "described_last": said}) for name in ("before", "after")}
        found = rows(record(noise=0, arms=both, settings={"options": {"replicas": 2}}))
        assert found["samples/s, median (quartiles)"][0] == "1,067 (1,067 to 1,067)"


def test_a_line_that_reads_in_both_loops_has_one_row():
    arms = {"before": arm("a:b", reads=20), "after": arm("c:d", reads=5)}
    found = [row.texts for row in report.comparison(Comparison.of(record(arms=arms))) if row.title.startswith("… by")]
    assert found == [("2", "0.5", "x.numpy()")]


def test_traces_of_a_warm_loop_have_a_row_and_each_function_one():
    arms = {"before": arm("a:b", traced=()), "after": arm("c:d", traced=(traced(traces=2), traced("other", traces=7)))}
    found = rows(record(arms=arms))
    assert found["traces of functions after warm-up"] == ("0", "9", "")
    assert found["… of step at f.py:3"] == ("", "2", "Python value of n: 1 → 2 → 3 → 4")
    titles = list(found)
    assert titles.index("… of other at f.py:3") < titles.index("… of step at f.py:3")


def with_syncs(**found):
    site = ARMS["before"].host_syncs.sites[0]
    sites = tuple(site.model_copy(update={"line": line, "reads": 20 - line}) for line in range(1, 16))
    syncs = HostSyncs(batches=10, sites=sites, **found)
    return record(arms={"before": arm("a:b", host_syncs=syncs), "after": arm("c:d", reads=1)}, count=12)


def test_the_library_that_reads_for_a_line_stands_beside_it():
    found = with_syncs()
    site = found.arms["before"].host_syncs.sites[0].model_copy(update={"library": "set_postfix at tqdm/std.py:1432"})
    syncs = found.arms["before"].host_syncs.model_copy(update={"sites": (site,)})
    row = rows(record(arms={"before": arm("a:b", host_syncs=syncs), "after": arm("c:d", host_syncs=None)}))[
        "… by numpy at f.py:1"
    ]
    assert row[2] == "x.numpy(); read by set_postfix at tqdm/std.py:1432"


def test_each_line_that_reads_has_a_row_and_the_rest_one_together():
    found = rows(with_syncs())
    lines = {metric: row for metric, row in found.items() if metric.startswith("…")}
    assert len(lines) == read_plots.MOST_SITES + 1 + 0
    assert lines["… by numpy at f.py:2"] == ("1.8", "", "x.numpy()")
    assert lines["… at 3 more lines"] == ("1.8", "", "")


def test_ops_of_the_host_in_graphs_have_a_row():
    op = GraphHostOps(kind="print", function="step", file="f.py", line=1, ops=2)
    found = rows(with_syncs(in_graphs=(op, op.model_copy(update={"line": 2}), op.model_copy(update={"kind": "text"}))))
    assert found["host ops in graphs, not counted above"] == ("4 print, 2 text", "none", "")
    assert "host ops in graphs, not counted above" not in rows(with_syncs())


def test_copies_that_no_read_explains_have_a_row():
    copies = TracedCopies(matched=3, unexplained=20, unexplained_nbytes=80, python_only=0, uncopied=0)
    row = rows(with_syncs(copies=copies))["copies from the device a batch that no read explains"]
    assert row == ("2", "not measured", "")


def test_what_was_watched_has_rows():
    found = rows(record(arms={"before": arm("a:b", telemetry=on_cpu())}, count=12))
    assert found["CPUs busy, mean"] == ("1.50", "not measured", "")
    assert "CPUs busy, mean" not in rows(record(count=12))


def test_what_is_not_there_is_not_made_up():
    empty = {name: ArmRecord(factory="a:b") for name in ARMS}
    found = rows(record(arms=empty, rounds=(), rounds_ended=None))
    assert len(found) == 4
    assert set(found.values()) == {("not measured", "not measured", "")}


def footer(found):
    compared = Comparison.of(found)
    return report.footer(found, compared, Verdict.of(found, compared))


def test_footer_gives_the_verdict_first_then_loops_work_and_machine():
    lines = footer(record(settings={"options": {"script": "x.csv"}}, noise=0, rounds_seconds=153.0))
    assert lines[0].startswith("verdict: faster: 2.0")
    assert lines[1:4] == [
        "before: a:b, after: c:d",
        "preset tiny, seed 0, script=x.csv; 100 interleaved rounds of 10 batches a loop, until the interval of the "
        "ratio was narrower than 3.0%; time between blocks: 2.0% of measured time",
        "2 cores of a CPU; TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7",
    ]
    assert lines[4].startswith("Without a GPU a host sync costs hardly anything")
    gpu = {**ENVIRONMENT, "gpus": ["H100"], "gpu_driver": "580"}
    assert len(footer(record(environment=gpu))) == 4


def test_footer_says_whether_both_compute_the_same():
    same = Equivalence(batches=5, options={"clip": 9, "xla": False}, equal=True, reason="bit for bit the same")
    assert footer(record(equivalence=same))[3] == "equivalence: bit for bit the same (clip=9, xla=False)"


def test_footer_says_why_the_rounds_ended():
    assert "the time of 120 s was over" in footer(record(rounds_ended="out of time"))[2]
    assert "as many as were asked for" in footer(record(rounds_ended="as many as asked for"))[2]
    assert "nothing was timed" in footer(record(rounds=(), rounds_ended=None))[2]


def test_footer_keeps_no_doubt_back():
    arms = {"after": arm("c:d", touch_seconds=0.04)}
    lines = footer(record(null=0.063, arms=arms))
    assert lines[1].startswith("suspicious: after takes 30 ms")
    assert lines[2].startswith("doubt: the loop before and a second instance of it differ")


def by_name(made):
    return made.numbers.set_index(["figure", "loop", "unit"])


def test_one_table_and_what_must_be_known_with_it():
    made = report.report(run_record())
    ((title, frame),) = made.tables
    assert (made.title, title) == ("run", "before / after")
    assert list(frame.columns) == ["metric", "before", "after", "change"]
    assert made.notes[0].startswith("verdict: faster: ")
    assert "before: a:b, after: c:d" in made.notes


def test_its_numbers_are_those_of_the_table():
    found = by_name(report.report(run_record()))
    assert found.loc[("time a batch", "before", "ms"), "value"] == pytest.approx(60.0, rel=0.01)
    assert found.loc[("time a batch", "after", "ms"), "interval"] == "quartiles"
    speed_up = found.loc[("speed-up", "after", "ratio")]
    assert 1.9 < speed_up["low"] < speed_up["value"] < speed_up["high"] < 2.1
    assert found.loc[("speed-up", "null arm", "ratio"), "value"] == pytest.approx(1.0, rel=0.02)
    assert found.loc[("host syncs", "before", "a batch"), "value"] == 4.4
    assert found.loc[("bytes read", "before", "a batch"), "value"] == 17.6
    alive = found.xs("alive after nan", level="figure")["value"]
    assert alive.to_dict() == {("before", "of 1 runs"): 0.0, ("after", "of 1 runs"): 1.0}


def test_what_was_not_measured_is_no_number():
    without = {"before": arm("a:b", host_syncs=None), "after": arm("c:d", host_syncs=None)}
    nothing = record(arms=without, rounds=(), rounds_ended=None)
    assert report.report(nothing).numbers.empty
    started = {**without, "after": arm("c:d", host_syncs=None, starts=(Start(build_seconds=1, first_batch_seconds=2),))}
    ((figure, loop, unit),) = by_name(report.report(record(arms=started, rounds=(), rounds_ended=None))).index
    assert (figure, loop, unit) == ("time to first batch", "after", "s")


def said(found):
    """What stands below the table."""
    comparison = Comparison.of(found)
    return report.footer(found, comparison, Verdict.of(found, comparison))


def test_the_footer_names_where_each_arm_has_lived_and_on_what():
    lines = said(elsewhere())
    assert "before: a:b of main (1a2b3c4), TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7" in lines
    assert "after: c:d of working tree (abcdef0, with changes), TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7" in lines
    assert not [line for line in lines if line.startswith("before → after:")]
    assert "before: a:b, after: c:d" not in lines
    assert "2 cores of a CPU" in lines  # and no versions, which each arm has by itself


def test_versions_and_variables_in_which_they_differ_have_a_line():
    older = {**RUNS_ON, "python": "3.13.1", "versions": {**RUNS_ON["versions"], "tensorflow": "2.20.0"}}
    lived = {
        "before": Residence(**older, environment={"A": "0", "B": "1"}, folder="old"),
        "after": Residence(**RUNS_ON, environment={"A": "1", "B": "1"}, notes=("lacks data.npy",)),
    }
    homes = {"before": Home(environment={"A": "0", "B": "1"}, folder="old"), "after": Home()}
    lines = said(elsewhere(homes, lived))
    assert "before → after: TensorFlow 2.20.0 → 2.21.0, Python 3.13.1 → 3.11.7, A 0 → 1" in lines
    where = "before: a:b of working tree (in no repository), TensorFlow 2.20.0, Keras 3.15.1, Python 3.13.1"
    assert f"{where}; folder=old, A=0, B=1" in lines
    assert lines[lines.index("after: lacks data.npy") - 1].startswith("after: c:d of working tree")


def test_what_only_one_of_them_has_is_none_of_the_other():
    lived = {"after": Residence(**{**RUNS_ON, "versions": {"tensorflow": "2.21.0"}}, environment={"A": "1"})}
    (line,) = [line for line in said(elsewhere(residences=lived)) if line.startswith("before → after:")]
    assert line == "before → after: Keras 3.15.1 → none, numpy 2.4.1 → none, A none → 1"


def test_the_footer_says_in_how_many_processes():
    (line,) = [line for line in said(elsewhere(groups=4, count=40)) if "interleaved rounds" in line]
    assert (
        "; 40 interleaved rounds of 10 batches a loop in 4 processes of each, one after the other, until the " in line
    )
    assert "until the interval of the ratio in each process was narrower than 4.5%" in line
    (line,) = [line for line in said(record(count=40)) if "interleaved rounds" in line]
    assert "40 interleaved rounds of 10 batches a loop, until the interval of the ratio was narrower than" in line
